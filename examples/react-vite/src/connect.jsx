import { useToken } from 'token-broker/client/react'
import { tokens } from './tokens.js'

export function Connect() {
  const token = useToken(tokens)
  if (!token) return <p>Getting a token…</p>
  return (
    <>
      <p>
        Workspace <code>{token.workspace_id}</code>
      </p>
      <p>
        The token ends at <time>{token.expires_at}</time>.
      </p>
    </>
  )
}
