import type { Reply } from './reply.ts'

/**
 * What the browser widget shows in its frame: it asks the page around it for the token, tries the token
 * on the API and says what came of it.
 */
export const widgetPage = (): Reply => ({
  status: 200,
  headers: { 'content-type': 'text/html; charset=utf-8' },
  body: PAGE,
})

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Sandbox of the embedded widget</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem; }
  button { font: inherit; }
</style>
<h1>Sandbox</h1>
<p id="state">Waiting for a token</p>
<button id="close">Close</button>
<script>
  const query = new URLSearchParams(location.search)
  const origin = query.get('allowedOrigin')
  const state = document.getElementById('state')
  const tell = (message) => parent.postMessage(message, origin)

  // As in the real one: the strings have to be equal, or the dialog waits for ever.
  addEventListener('message', async (event) => {
    if (event.origin !== origin || !event.data.scopedAuthToken) return
    const reply = await fetch('/api/v1/workspaces/' + encodeURIComponent(query.get('workspaceId')), {
      headers: { authorization: 'Bearer ' + event.data.scopedAuthToken },
    })
    state.textContent = reply.ok
      ? 'The token is good for the workspace of ' + (await reply.json()).name
      : 'The token was refused with ' + reply.status
  })
  document.getElementById('close').onclick = () => tell('CLOSE_DIALOG')
  if (origin) tell('auth_token_request')
</script>
</html>
`
