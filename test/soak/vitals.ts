/** What tells whether a process holds on to more and more. */
const WATCHED = {
  rssMb: 'process_resident_memory_bytes',
  heapMb: 'nodejs_heap_size_used_bytes',
  heapTakenMb: 'nodejs_heap_size_total_bytes',
  externalMb: 'nodejs_external_memory_bytes',
  handles: 'nodejs_active_resources_total',
  files: 'process_open_fds',
  entries: 'token_broker_cache_entries{tier="memory"}',
} as const

export type Vitals = Record<keyof typeof WATCHED, number>

export async function vitalsOf(opsUrl: string): Promise<Vitals> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  const value = (series: string) => {
    const line = text.split('\n').find((each) => each.startsWith(`${series} `))
    return line === undefined ? Number.NaN : Number(line.slice(series.length + 1))
  }
  const megabytes = (bytes: number) => Math.round(bytes / 104_857.6) / 10
  return {
    rssMb: megabytes(value(WATCHED.rssMb)),
    heapMb: megabytes(value(WATCHED.heapMb)),
    heapTakenMb: megabytes(value(WATCHED.heapTakenMb)),
    externalMb: megabytes(value(WATCHED.externalMb)),
    handles: value(WATCHED.handles),
    files: value(WATCHED.files),
    entries: value(WATCHED.entries),
  }
}

/** The lowest of a stretch: what is left when the collector has been. */
export const lowest = (samples: readonly Vitals[], of: keyof Vitals) =>
  Math.min(...samples.map((sample) => sample[of]))
