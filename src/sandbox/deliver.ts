import type { ServerResponse } from 'node:http'
import type { Fault } from './faults.ts'
import { pause } from './patience.ts'
import type { Reply } from './reply.ts'

// Long enough for what was written to be read before the reset overtakes it.
const BEFORE_A_RESET_MS = 20

/** Puts a reply on the wire, in the manner of the fault. Resolves when there is nothing left to do. */
export async function deliver(
  response: ServerResponse,
  reply: Reply,
  fault: Fault | undefined,
  gone: AbortSignal,
): Promise<void> {
  const bytes = Buffer.from(reply.body)
  const half = bytes.subarray(0, Math.max(1, bytes.length >> 1))

  switch (fault?.what) {
    case 'reset': {
      head(response, reply, bytes.length)
      if (fault.when === 'mid-body') response.write(half)
      else response.flushHeaders()
      await pause(BEFORE_A_RESET_MS, gone)
      response.socket?.resetAndDestroy()
      return
    }
    case 'stall':
      head(response, reply, bytes.length)
      response.write(half)
      return
    case 'trickle': {
      head(response, reply, bytes.length)
      const step = fault.bytes ?? 8
      for (let at = 0; at < bytes.length; at += step) {
        response.write(bytes.subarray(at, at + step))
        if (!(await pause(fault.everyMs ?? 20, gone))) return
      }
      response.end()
      return
    }
    case 'endless': {
      response.writeHead(reply.status, reply.headers)
      const blanks = Buffer.alloc(fault.bytes ?? 65_536, ' ')
      while (!gone.aborted) {
        // A reader who has stopped reading is not filled up with what it does not want.
        if (!response.writableNeedDrain) response.write(blanks)
        await pause(fault.everyMs ?? 5, gone)
      }
      return
    }
    default:
      head(response, reply, bytes.length)
      response.end(bytes)
  }
}

const head = (response: ServerResponse, reply: Reply, length: number) =>
  response.writeHead(reply.status, { ...reply.headers, 'content-length': length })
