// Starts Swagger UI. In a separate file, because the page's Content-Security-Policy forbids inline scripts.
window.ui = SwaggerUIBundle({
  url: '/apispec.json',
  dom_id: '#docs',
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  requestSnippetsEnabled: true,
  validatorUrl: null,
});
