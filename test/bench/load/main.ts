import { runLoad } from './load.ts'

// A process of its own, so that it can have a core of its own.
process.on('message', (job: Parameters<typeof runLoad>[0]) => {
  void runLoad(job).then((result) => {
    process.send?.(result)
    process.disconnect()
  })
})
