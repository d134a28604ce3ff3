/** Why a port is bound as it is, or not, as a tree for people: pure. */
import { nearest } from '#extensions/binding/remedies.ts'
import type { Output } from './output.ts'

interface Segment {
  readonly network_type: string
  readonly physical_network: string | null
  readonly segmentation_id: number | null
}
export interface ShownAttempt {
  readonly level: number
  readonly driver: string
  readonly segment: Segment
  readonly result: 'bound' | 'continued' | 'refused'
  readonly reason: string | null
  readonly facts: Readonly<Record<string, unknown>>
  readonly remedy: string | null
}
export interface ShownOutcome {
  readonly at: string | null
  readonly result: string
  readonly attempts: readonly ShownAttempt[]
}
export interface ShownExplanation {
  readonly port_id: string
  readonly host: string
  readonly vnic_type: string
  readonly vif_type: string
  readonly status: string
  readonly last: ShownOutcome
  readonly fresh: ShownOutcome | null
  readonly hosts?: readonly { readonly host: string; readonly status: string; readonly reported_at: string }[]
}
export interface ShownHost {
  readonly host: string
  readonly bindable: boolean
  readonly rank: number | null
  readonly vif_type: string
  readonly attempts: readonly ShownAttempt[]
}

type Paint = Output['paint']

export function explanationLines(name: string, one: ShownExplanation, paint: Paint): string[] {
  const { host, vnic_type, vif_type, status, last, fresh, hosts } = one
  const where = host === '' ? 'on no host' : `on ${host}`
  const lines = [`port ${name} (${vnic_type}) ${where}: ${verdict(vif_type, paint)}, ${status}`]
  if (host === '' && !hosts) lines.push('', 'Nobody asked for a host: --host HOST says what would become of it there.')
  for (const at of hosts ?? []) lines.push(`  ${at.host}: ${at.status}, reported ${at.reported_at}`)
  if (last.attempts.length > 0)
    lines.push(
      '',
      last.result === 'failed'
        ? `what was answered, since ${last.at}`
        : `bound${last.at === null ? '' : ` since ${last.at}`} by`,
      ...attemptLines(last.attempts, paint),
    )
  if (fresh && !sameAnswers(last, fresh))
    lines.push(
      '',
      `what would be answered now: ${verdict(fresh.result, paint)}`,
      ...attemptLines(fresh.attempts, paint),
    )
  else if (fresh && fresh.result === 'failed') lines.push('', 'Trying now would end the same way.')
  if (fresh?.result === 'failed') lines.push(...firstOfAll(fresh.attempts, paint))
  return lines
}

export function simulationLines(name: string, hosts: readonly ShownHost[], paint: Paint): string[] {
  const able = hosts.filter((one) => one.bindable).length
  const head = `port ${name} can be bound on ${able} of ${hosts.length} hosts`
  return [
    head,
    ...hosts.flatMap(({ host, rank, vif_type, attempts }) => [
      '',
      rank === null ? `${host}: ${verdict(vif_type, paint)}` : `${host}: ${verdict(vif_type, paint)}, choice ${rank}`,
      ...attemptLines(attempts, paint),
      ...(rank === null ? firstOfAll(attempts, paint) : []),
    ]),
  ]
}

/** What to mend first, where there is a choice. */
function firstOfAll(attempts: readonly ShownAttempt[], paint: Paint): string[] {
  const one = nearest(attempts)
  return one?.remedy ? [paint('bold', `First of all: ${one.remedy}`)] : []
}

const FAILED = ['binding_failed', 'failed']
const verdict = (word: string, paint: Paint): string => paint(FAILED.includes(word) ? 'red' : 'green', word)

/** What a binding that was made keeps is the way that led to it: refusals before are no difference. */
function sameAnswers(last: ShownOutcome, fresh: ShownOutcome): boolean {
  const way = ({ result, attempts }: ShownOutcome): string =>
    JSON.stringify(
      attempts
        .filter((one) => result === 'failed' || one.result !== 'refused')
        .map(({ level, driver, reason, segment }) => [level, driver, reason, segmentOf(segment)]),
    )
  return last.result === fresh.result && way(last) === way(fresh)
}

/** What holds of a segment whatever the driver is said once, where it was said first. Of the lowest level: those are leaves. */
function saidOnce(attempts: readonly ShownAttempt[]): (ShownAttempt & { readonly drivers: readonly string[] })[] {
  const keyOf = ({ driver, ...said }: ShownAttempt): string =>
    JSON.stringify([said, said.level > 0 || said.result !== 'refused' ? driver : ''])
  return [...Map.groupBy(attempts, keyOf).values()].flatMap((same) => {
    const [first] = same
    return first ? [{ ...first, drivers: same.map((one) => one.driver) }] : []
  })
}

/** Deeper levels stand further to the right. */
const attemptLines = (attempts: readonly ShownAttempt[], paint: Paint): string[] =>
  saidOnce(attempts).flatMap(({ level, drivers, segment, result, reason, facts, remedy }) => {
    const indent = '  '.repeat(level + 1)
    const mark = result === 'refused' ? paint('red', '✗') : paint('green', '✓')
    const said = result === 'continued' ? 'carries it, level below' : (reason ?? 'binds it')
    const head = `${indent}${mark} level ${level}  ${drivers.join(', ')} on ${segmentOf(segment)}: ${said}`
    if (result !== 'refused') return [head]
    const known = factsOf(facts)
    return [
      head,
      ...(known === '' ? [] : [paint('dim', `${indent}    ${known}`)]),
      ...(remedy === null ? [] : [`${indent}    → ${remedy}`]),
    ]
  })

const segmentOf = ({ network_type, physical_network, segmentation_id }: Segment): string =>
  [network_type, physical_network, segmentation_id ?? (network_type === 'vlan' ? 'new' : null)]
    .filter((one) => one !== null)
    .join(' ')

const factsOf = (facts: ShownAttempt['facts']): string =>
  Object.entries(facts)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
