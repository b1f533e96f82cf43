// @ts-check
import { useCallback, useSyncExternalStore } from 'react'

/** @type {typeof import('./react.d.ts').useToken} */
export const useToken = (client) =>
  useSyncExternalStore(
    useCallback((changed) => client.onToken(changed, changed), [client]),
    client.current,
    () => undefined,
  )
