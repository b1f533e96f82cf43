/** Replies that say nothing about the command and everything about the server; older ones wrap a script's. */
const REFUSALS =
  /(^|: -)(LOADING|READONLY|OOM|MISCONF|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|BUSY|NOAUTH|WRONGPASS)/

/** Redis has answered, with an error. The library's own class has no type. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** The server is in no state to serve anybody. */
export const isRefusal = (error: unknown) => isReply(error) && REFUSALS.test(error.message)

export const isUnknownScript = (error: unknown) =>
  isReply(error) && error.message.startsWith('NOSCRIPT')

/** What kind of failure it was, in a word: the texts name hosts and keys. */
export function failureName(error: unknown): string {
  if (isReply(error))
    return REFUSALS.exec(error.message)?.[2] ?? /^[A-Z]+/.exec(error.message)?.[0] ?? error.name
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.name
  return 'connection lost'
}
