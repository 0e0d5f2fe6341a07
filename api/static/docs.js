// Starts the documentation page. A file of its own, because the page's policy allows no script inside of it.
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
