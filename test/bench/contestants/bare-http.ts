import { createServer } from 'node:http'
import { READY_REPLY } from './reply.ts'

/** The least that Node itself can do: no routing, no checks, a ready reply. */
createServer((_request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(READY_REPLY)
}).listen(Number(process.env.PORT), '127.0.0.1')
