/** Where a reader of the change log stands: `era.xid.seq` in decimal, opaque to clients. */
export interface Cursor {
  readonly era: number
  readonly xid: bigint
  readonly seq: bigint
}

export const formatCursor = ({ era, xid, seq }: Cursor): string => `${era}.${xid}.${seq}`

/** Null when the text is no cursor. */
export const parseCursor = (text: string): Cursor | null => {
  const match = /^(\d{1,9})\.(\d{1,20})\.(\d{1,20})$/.exec(text)
  return match ? { era: Number(match[1]), xid: BigInt(match[2] as string), seq: BigInt(match[3] as string) } : null
}

export const compareCursors = (a: Cursor, b: Cursor): number => {
  if (a.era !== b.era) return a.era - b.era
  if (a.xid !== b.xid) return a.xid < b.xid ? -1 : 1
  return a.seq === b.seq ? 0 : a.seq < b.seq ? -1 : 1
}
