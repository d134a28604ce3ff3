/** Errors of a switch by name (OpenFlow 1.5 §7.5.4); unknown numbers stay numbers. */
const CODES: Readonly<Record<number, readonly [type: string, codes: readonly string[]]>> = {
  0: ['HELLO_FAILED', ['INCOMPATIBLE', 'EPERM']],
  1: [
    'BAD_REQUEST',
    [
      'BAD_VERSION',
      'BAD_TYPE',
      'BAD_MULTIPART',
      'BAD_EXPERIMENTER',
      'BAD_EXP_TYPE',
      'EPERM',
      'BAD_LEN',
      'BUFFER_EMPTY',
      'BUFFER_UNKNOWN',
      'BAD_TABLE_ID',
      'IS_SLAVE',
      'BAD_PORT',
      'BAD_PACKET',
      'MULTIPART_BUFFER_OVERFLOW',
      'MULTIPART_REQUEST_TIMEOUT',
      'MULTIPART_REPLY_TIMEOUT',
      'MULTIPART_BAD_SCHED',
      'PIPELINE_FIELDS_ONLY',
      'UNKNOWN',
    ],
  ],
  2: [
    'BAD_ACTION',
    [
      'BAD_TYPE',
      'BAD_LEN',
      'BAD_EXPERIMENTER',
      'BAD_EXP_TYPE',
      'BAD_OUT_PORT',
      'BAD_ARGUMENT',
      'EPERM',
      'TOO_MANY',
      'BAD_QUEUE',
      'BAD_OUT_GROUP',
      'MATCH_INCONSISTENT',
      'UNSUPPORTED_ORDER',
      'BAD_TAG',
      'BAD_SET_TYPE',
      'BAD_SET_LEN',
      'BAD_SET_ARGUMENT',
      'BAD_SET_MASK',
      'BAD_METER',
    ],
  ],
  3: [
    'BAD_INSTRUCTION',
    [
      'UNKNOWN_INST',
      'UNSUP_INST',
      'BAD_TABLE_ID',
      'UNSUP_METADATA',
      'UNSUP_METADATA_MASK',
      'BAD_EXPERIMENTER',
      'BAD_EXP_TYPE',
      'BAD_LEN',
      'EPERM',
      'DUP_INST',
    ],
  ],
  4: [
    'BAD_MATCH',
    [
      'BAD_TYPE',
      'BAD_LEN',
      'BAD_TAG',
      'BAD_DL_ADDR_MASK',
      'BAD_NW_ADDR_MASK',
      'BAD_WILDCARDS',
      'BAD_FIELD',
      'BAD_VALUE',
      'BAD_MASK',
      'BAD_PREREQ',
      'DUP_FIELD',
      'EPERM',
    ],
  ],
  5: [
    'FLOW_MOD_FAILED',
    [
      'UNKNOWN',
      'TABLE_FULL',
      'BAD_TABLE_ID',
      'OVERLAP',
      'EPERM',
      'BAD_TIMEOUT',
      'BAD_COMMAND',
      'BAD_FLAGS',
      'CANT_SYNC',
      'BAD_PRIORITY',
      'IS_SYNC',
    ],
  ],
  6: [
    'GROUP_MOD_FAILED',
    [
      'GROUP_EXISTS',
      'INVALID_GROUP',
      'WEIGHT_UNSUPPORTED',
      'OUT_OF_GROUPS',
      'OUT_OF_BUCKETS',
      'CHAINING_UNSUPPORTED',
      'WATCH_UNSUPPORTED',
      'LOOP',
      'UNKNOWN_GROUP',
      'CHAINED_GROUP',
      'BAD_TYPE',
      'BAD_COMMAND',
      'BAD_BUCKET',
      'BAD_WATCH',
      'EPERM',
      'UNKNOWN_BUCKET',
      'BUCKET_EXISTS',
    ],
  ],
  7: ['PORT_MOD_FAILED', ['BAD_PORT', 'BAD_HW_ADDR', 'BAD_CONFIG', 'BAD_ADVERTISE', 'EPERM']],
  11: ['ROLE_REQUEST_FAILED', ['STALE', 'UNSUP', 'BAD_ROLE', 'ID_UNSUP', 'ID_IN_USE']],
  12: [
    'METER_MOD_FAILED',
    [
      'UNKNOWN',
      'METER_EXISTS',
      'INVALID_METER',
      'UNKNOWN_METER',
      'BAD_COMMAND',
      'BAD_FLAGS',
      'BAD_RATE',
      'BAD_BURST',
      'BAD_BAND',
      'BAD_BAND_VALUE',
      'OUT_OF_METERS',
      'OUT_OF_BANDS',
    ],
  ],
  14: [
    'BAD_PROPERTY',
    [
      'BAD_TYPE',
      'BAD_LEN',
      'BAD_VALUE',
      'TOO_MANY',
      'DUP_TYPE',
      'BAD_EXPERIMENTER',
      'BAD_EXP_TYPE',
      'BAD_EXP_VALUE',
      'EPERM',
    ],
  ],
  16: [
    'FLOW_MONITOR_FAILED',
    [
      'UNKNOWN',
      'MONITOR_EXISTS',
      'INVALID_MONITOR',
      'UNKNOWN_MONITOR',
      'BAD_COMMAND',
      'BAD_FLAGS',
      'BAD_TABLE_ID',
      'BAD_OUT',
    ],
  ],
  17: [
    'BUNDLE_FAILED',
    [
      'UNKNOWN',
      'EPERM',
      'BAD_ID',
      'BUNDLE_EXIST',
      'BUNDLE_CLOSED',
      'OUT_OF_BUNDLES',
      'BAD_TYPE',
      'BAD_FLAGS',
      'MSG_BAD_LEN',
      'MSG_BAD_XID',
      'MSG_UNSUP',
      'MSG_CONFLICT',
      'MSG_TOO_MANY',
      'MSG_FAILED',
      'TIMEOUT',
      'BUNDLE_IN_PROGRESS',
      'SCHED_NOT_SUPPORTED',
      'SCHED_FUTURE',
      'SCHED_PAST',
    ],
  ],
}

/** The switch refused something. `what` is the text of the flow or group, where one can be named. */
export class OpenFlowError extends Error {
  override readonly name = 'OpenFlowError'
  /** For instance `BAD_MATCH/BAD_PREREQ`. */
  readonly reason: string
  readonly what: string | null
  constructor(reason: string, what: string | null = null) {
    super(what === null ? `the switch answered ${reason}` : `the switch refused "${what}": ${reason}`)
    this.reason = reason
    this.what = what
  }
}

export const errorName = (type: number, code: number): string => {
  if (type === 0xffff) return `EXPERIMENTER/${code}`
  const [name, codes] = CODES[type] ?? [`TYPE_${type}`, []]
  return `${name}/${codes[code] ?? code}`
}
