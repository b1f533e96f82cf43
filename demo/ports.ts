import { once } from 'node:events'
import { createServer, type Server } from 'node:http'

export const LOOPBACK = '127.0.0.1'

/** Told when a port is taken and another one is used. */
export type OnTaken = (wanted: number, used: number) => void

/** Listens on the wanted port of the loopback, or on any other if that one is taken. */
export async function listenNear(
  server: Server,
  wanted: number,
  onTaken: OnTaken,
): Promise<number> {
  try {
    return await listen(server, wanted)
  } catch (error) {
    if (!isTaken(error)) throw error
    const used = await listen(server, 0)
    onTaken(wanted, used)
    return used
  }
}

/** The wanted port if it is free, else one that is, for a process that is yet to be started. */
export async function freePort(wanted: number, onTaken: OnTaken): Promise<number> {
  const probe = createServer()
  const port = await listenNear(probe, wanted, onTaken)
  probe.close()
  await once(probe, 'close')
  return port
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, LOOPBACK)
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}

const isTaken = (error: unknown) =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'EADDRINUSE' || error.code === 'EACCES')
