/** Many changes as one: an atomic, ordered bundle (OpenFlow 1.5 §6.9), whose failure names the change refused. */
import { createWriter, type Writer } from './bytes.ts'
import type { Connection, Reply } from './connection.ts'
import { OpenFlowError } from './errors.ts'
import { BUNDLE, type Change, describe, writeBundleAdd, writeBundleControl } from './messages.ts'

/**
 * Open, add everything, close; commit only when nothing was refused until then (a message that does not decode is
 * refused while it is added, one that cannot be carried out while it is committed).
 */
export async function sendBundle(connection: Connection, bundle: number, changes: readonly Change[]): Promise<void> {
  const control = (out: Writer, type: number): Promise<Reply> => {
    const xid = connection.xid()
    writeBundleControl(out, xid, bundle, type)
    return connection.reply(xid)
  }
  const refused: OpenFlowError[] = []
  const xids = changes.map(() => connection.xid())
  const out = createWriter(changes.length * 192 + 64)
  const openXid = connection.xid()
  writeBundleControl(out, openXid, bundle, BUNDLE.open)
  changes.forEach((change, i) => writeBundleAdd(out, xids[i] ?? 0, bundle, change))
  changes.forEach((change, i) =>
    connection.watch(xids[i] ?? 0, (reason) => void refused.push(new OpenFlowError(reason, describe(change)))),
  )
  try {
    const steps = [connection.reply(openXid), control(out, BUNDLE.close)]
    connection.send(out)
    await Promise.all(steps)
    const last = createWriter()
    const done = control(last, refused.length > 0 ? BUNDLE.discard : BUNDLE.commit)
    connection.send(last)
    await done
    if (refused[0]) throw refused[0]
  } catch (error) {
    throw refused[0] ?? error
  } finally {
    for (const xid of xids) connection.forget(xid)
  }
}
