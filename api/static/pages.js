// Sends the form with the token from the link. The token is in the fragment, which browsers do not send to servers.
const form = document.querySelector('form');
const button = form.querySelector('button');
const outcome = document.getElementById('outcome');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true; // A link works once: a second click would show an error.
  const body = {token: location.hash.slice(1), ...Object.fromEntries(new FormData(form))};
  try {
    const answer = await fetch(form.dataset.url, {
      method: 'PUT',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify(body),
    });
    form.hidden = answer.ok;
    outcome.textContent = answer.ok ? form.dataset.done : explained(await answer.json());
  } catch {
    outcome.textContent = 'The server does not respond. Please try again.';
  } finally {
    button.disabled = false;
  }
});

function explained({error, message, errors = {}}) {
  if (errors.token) return 'This link is incomplete. Please copy all of it.';
  const text = Object.values(errors).flat().join(' ') || message || error;
  return text[0].toUpperCase() + text.slice(1);
}
