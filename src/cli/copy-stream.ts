/** PostgreSQL's COPY over a connection of npm's pg, as asynchronous streams with back-pressure. */
import type { Client, Connection } from 'pg'

/** What pg's client calls on the query that is in turn. */
interface Turn {
  submit(connection: Connection): void
  handleError(error: Error): void
  handleReadyForQuery(): void
  handleCommandComplete(): void
  handleRowDescription(): void
  handleDataRow(): void
  handleEmptyQuery(): void
  handlePortalSuspended(): void
  handleCopyData(message: { chunk: Buffer }): void
  handleCopyInResponse(connection: CopyConnection): void
}

/** The part of pg's connection its types leave out. */
interface CopyConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

const turn = (text: string, hooks: Partial<Turn>, done: (error: Error | null) => void): Turn => {
  let failure: Error | null = null
  const nothing = (): void => {}
  return {
    submit: (connection) => connection.query(text),
    handleError: (error) => {
      failure = error
      done(error) // a lost connection has no "ready for query" to come
    },
    handleReadyForQuery: () => done(failure),
    handleCommandComplete: nothing,
    handleRowDescription: nothing,
    handleDataRow: nothing,
    handleEmptyQuery: nothing,
    handlePortalSuspended: nothing,
    handleCopyData: nothing,
    handleCopyInResponse: (connection) => connection.sendCopyFail('no data expected'),
    ...hooks,
  }
}

/**
 * Runs `copy … to stdout` and hands each chunk to `sink`. What that answers is waited for before more is read; chunks
 * that arrived already are still handed over. When the sink fails, the rest is read and dropped.
 */
export const copyOut = (client: Client, text: string, sink: (chunk: Buffer) => Promise<void> | void): Promise<void> =>
  new Promise((resolve, reject) => {
    let connection: Connection | undefined
    let waiting: Promise<void> | null = null
    let broken: unknown = null
    const wait = (pending: Promise<void>): void => {
      waiting = pending
      connection?.stream.pause()
      const goOn = (): void => {
        waiting = null
        connection?.stream.resume()
      }
      pending.then(goOn, (error: unknown) => {
        broken ??= error
        goOn()
      })
    }
    const hooks: Partial<Turn> = {
      submit: (given) => {
        connection = given
        given.query(text)
      },
      handleCopyData: ({ chunk }) => {
        if (broken !== null) return
        // The chunk is a window into the parser's buffer, which is written over while a slow sink still holds it.
        const pending = sink(Buffer.from(chunk))
        if (pending && pending !== waiting) wait(pending)
      },
    }
    const done = (error: Error | null): void => {
      const settle = (): void => ((broken ?? error) ? reject(broken ?? error) : resolve())
      Promise.resolve(waiting).then(settle, reject)
    }
    client.query(turn(text, hooks, done) as never)
  })

/** Runs `copy … from stdin` with the chunks of `source`; a failure of the source ends the statement. */
export const copyIn = (client: Client, text: string, source: AsyncIterable<Buffer>): Promise<void> =>
  new Promise((resolve, reject) => {
    let broken: Error | null = null
    const feed = async (connection: CopyConnection): Promise<void> => {
      try {
        for await (const chunk of source) {
          connection.sendCopyFromChunk(chunk)
          if (connection.stream.writableNeedDrain) {
            await new Promise((drained) => connection.stream.once('drain', drained))
          }
        }
        connection.endCopyFrom()
      } catch (error) {
        broken = error instanceof Error ? error : new Error(String(error))
        connection.sendCopyFail(broken.message)
      }
    }
    const hooks: Partial<Turn> = { handleCopyInResponse: (connection) => void feed(connection) }
    client.query(turn(text, hooks, (error) => (error ? reject(broken ?? error) : resolve())) as never)
  })
