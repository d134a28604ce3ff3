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

/** Runs `copy … to stdout` and hands each chunk to `sink`; while that is pending, the connection is not read. */
export const copyOut = (client: Client, text: string, sink: (chunk: Buffer) => Promise<void> | void): Promise<void> =>
  new Promise((resolve, reject) => {
    let connection: Connection | undefined
    let last: Promise<unknown> = Promise.resolve()
    const hooks: Partial<Turn> = {
      submit: (given) => {
        connection = given
        given.query(text)
      },
      handleCopyData: ({ chunk }) => {
        const pending = sink(chunk)
        if (!pending) return
        connection?.stream.pause()
        last = Promise.all([last, pending]).finally(() => connection?.stream.resume())
      },
    }
    const done = (error: Error | null): void => {
      if (error) reject(error)
      else last.then(() => resolve(), reject)
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
