/**
 * An OpenFlow 1.5 client for Open vSwitch on one connection (`unix:<bridge>.mgmt` or tcp).
 *
 * Interface: `connectSwitch` → `bundle` (atomic, ordered), `dumpFlows`, `dumpGroups`, `meter`, `ports`, `barrier`,
 * `flushZone`, `inject`, `monitorFlows`, `closed`, `close`. It does not reconnect: `session.ts` does.
 */
import { createWriter, type Writer } from './bytes.ts'
import { sendBundle } from './bundle.ts'
import { type Connection, openConnection, type SwitchOptions } from './connection.ts'
import { OpenFlowError } from './errors.ts'
import type { Meter } from './flow.ts'
import {
  type Change,
  type FlowFilter,
  TYPE,
  writeFlowRequest,
  writeFlushZone,
  writeGroupRequest,
  writeMessage,
  writeMeter,
  writeMeterRequest,
  writeMonitorRequest,
  writePacketOut,
  writePortRequest,
} from './messages.ts'
import {
  type DumpedFlow,
  type DumpedGroup,
  type MonitorUpdate,
  readFlows,
  readGroups,
  readMeters,
  readPorts,
  type SwitchPort,
} from './replies.ts'

export type { SwitchOptions } from './connection.ts'

export interface SwitchClient {
  /**
   * Makes all changes in order, or none: when it resolves they are in place and packets obey them.
   * Throws `OpenFlowError` with the text of the change that was refused; a text that is not understood throws before
   * anything is sent.
   */
  bundle(changes: readonly Change[]): Promise<void>
  /** Meters cannot stand in a bundle; a flow that uses one comes after it. */
  meter(op: 'add' | 'modify' | 'delete', meter: Meter): Promise<void>
  dumpFlows(filter?: FlowFilter): Promise<DumpedFlow[]>
  dumpGroups(): Promise<DumpedGroup[]>
  /** Ids of the meters there are. */
  dumpMeters(): Promise<number[]>
  ports(): Promise<SwitchPort[]>
  /** Forgets every connection of the conntrack zone (0 to 65535); costs the switch a look at all its connections. */
  flushZone(zone: number): Promise<void>
  /** Has the switch send a frame by these actions; resolves when it is sent. */
  inject(actions: string, frame: Buffer): Promise<void>
  /** Resolves when everything sent before is done. */
  barrier(): Promise<void>
  /** Tells every change of a flow from now on; resolves when the switch has agreed. Once a connection. */
  monitorFlows(onUpdates: (updates: readonly MonitorUpdate[]) => void): Promise<void>
  /** Resolves with the reason when the connection ends; null after `close`. */
  readonly closed: Promise<Error | null>
  close(): void
}

/** Connects and agrees on OpenFlow 1.5. Rejects when the bridge is not there or speaks something else. */
export const connectSwitch = async (options: SwitchOptions): Promise<SwitchClient> =>
  createClient(await openConnection(options))

function createClient(connection: Connection): SwitchClient {
  let bundles = 0
  /** Sends one request and reads its reply. */
  const ask = async <T>(write: (out: Writer, xid: number) => void, read: (body: Buffer) => T): Promise<T> => {
    const xid = connection.xid()
    const out = createWriter()
    write(out, xid)
    const reply = connection.reply(xid)
    connection.send(out)
    return read((await reply).body)
  }
  const barrier = (): Promise<void> =>
    ask(
      (out, xid) => writeMessage(out, TYPE.barrierRequest, xid),
      () => undefined,
    )
  /** Sends a message that is answered only when it is refused: a barrier shows that it was not. */
  const tell = async (write: (out: Writer, xid: number) => void, what: string): Promise<void> => {
    const xid = connection.xid()
    const out = createWriter()
    write(out, xid)
    let refused: string | null = null
    connection.watch(xid, (reason) => {
      refused = reason
    })
    connection.send(out)
    await barrier().finally(() => connection.forget(xid))
    if (refused !== null) throw new OpenFlowError(refused, what)
  }

  return {
    bundle: (changes) => (changes.length === 0 ? Promise.resolve() : sendBundle(connection, ++bundles, changes)),
    meter: (op, meter) => tell((out, xid) => writeMeter(out, xid, op, meter), `${op} meter=${meter.id}`),
    flushZone: (zone) => tell((out, xid) => writeFlushZone(out, xid, zone), `flush zone=${zone}`),
    inject: (actions, frame) => tell((out, xid) => writePacketOut(out, xid, actions, frame), `send by ${actions}`),
    dumpFlows: (filter = {}) => ask((out, xid) => writeFlowRequest(out, xid, filter), readFlows),
    dumpGroups: () => ask(writeGroupRequest, readGroups),
    dumpMeters: () => ask(writeMeterRequest, readMeters),
    ports: () => ask(writePortRequest, readPorts),
    barrier,
    monitorFlows: (onUpdates) =>
      ask(
        (out, xid) => {
          connection.onUpdates(onUpdates, xid)
          writeMonitorRequest(out, xid, 1)
        },
        () => undefined,
      ),
    closed: connection.closed,
    close: () => connection.close(),
  }
}
