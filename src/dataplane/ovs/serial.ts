/** Jobs one after the other, in the order they were asked for; a failing job does not stop the next. */

export interface Serial {
  run<T>(job: () => Promise<T>): Promise<T>
  idle(): Promise<void>
}

export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run: (job) => {
      const result = last.then(job)
      last = result.catch(() => undefined)
      return result
    },
    idle: async () => void (await last),
  }
}
