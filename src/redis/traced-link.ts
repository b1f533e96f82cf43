import type { Tracing } from '../tracing.ts'
import type { RedisLink } from './link.ts'

/** The same link, with a span for each piece of work that a request waits for. */
export const tracedLink = (
  name: string,
  link: RedisLink,
  tracing: Tracing | undefined,
): RedisLink =>
  tracing
    ? {
        key: link.key,
        subscribe: link.subscribe,
        close: link.close,
        get up() {
          return link.up
        },
        run: (work) => tracing.traced(name, () => link.run(work))(),
      }
    : link
