/** `lab probe`: a control window, a window with actions, and a verdict that counts only beside a lossless control. */
import { type Action, describeAction, strike, type StrikeTools } from './faults.ts'
import { vmNamespace } from './names.ts'
import { openProbe, type Path, type ProbeVm, type WindowResult } from './probe/session.ts'
import { type FlowResult, isLossless } from './probe/tally.ts'
import type { Lab, VmState } from './state.ts'
import { duration, type Style, table } from './text.ts'

export interface ProbeOrder {
  readonly vms: readonly VmState[]
  readonly paths: readonly Path[]
  readonly seconds: number
  readonly actions: readonly Action[]
  /** How often a lossy control is repeated before the probe gives up. */
  readonly attempts: number
}

export interface ProbeResult {
  /** `lossless`, `lossy`, or `void`: no control was lossless, so nothing was proven. */
  readonly verdict: 'lossless' | 'lossy' | 'void'
  readonly controls: readonly WindowResult[]
  /** Null when no action was asked for, or none was begun for want of a control. */
  readonly run: WindowResult | null
  /** What was done, when (ms after the window began), and how long until the lab stood again. */
  readonly actions: readonly { readonly action: string; readonly at: number; readonly took: number }[]
}

/** Every ordered pair of these VMs that are on one network. */
export const allPaths = (vms: readonly VmState[]): Path[] =>
  vms.flatMap((a) =>
    vms.filter((b) => b.name !== a.name && b.networkId === a.networkId).map((b) => ({ from: a.name, to: b.name })),
  )

export const probeVm = (lab: Lab, vm: VmState): ProbeVm => {
  const [first = ''] = vm.addresses
  return { name: vm.name, namespace: vmNamespace(lab.spec.name, vm.name), address: first.split('/')[0] ?? '' }
}

/**
 * Runs the probe. When the window with the actions lasted longer than the control before it, a second control of the
 * missing time follows, so that both are of one length.
 */
export const runProbe = async (
  lab: Lab,
  order: ProbeOrder,
  tools: StrikeTools,
  say: (line: string) => void,
): Promise<ProbeResult> => {
  await using session = await openProbe(
    order.vms.map((vm) => probeVm(lab, vm)),
    order.paths,
  )
  const controls: WindowResult[] = []
  const control = async (seconds: number): Promise<boolean> => {
    for (let attempt = 1; attempt <= order.attempts; attempt++) {
      say(`control window, ${seconds.toFixed(0)} s${attempt > 1 ? ` (attempt ${attempt})` : ''}`)
      const result = await session.window(seconds)
      if (isLossless(result.flows)) return controls.push(result) > 0
      say(`the control lost packets by itself: ${summary(result.flows)}`)
    }
    return false
  }
  const actions: { action: string; at: number; took: number }[] = []
  if (!(await control(order.seconds))) return { verdict: 'void', controls, run: null, actions }
  if (order.actions.length === 0) return { verdict: 'lossless', controls, run: null, actions }
  const run = await session.window(order.seconds, async (sinceStart) => {
    for (const action of order.actions) {
      say(describeAction(action))
      const at = sinceStart()
      await strike(lab, action, tools)
      actions.push({ action: describeAction(action), at, took: sinceStart() - at })
    }
  })
  const missing = run.seconds - order.seconds
  if (missing > 0.5 && !(await control(missing))) return { verdict: 'void', controls, run, actions }
  return { verdict: isLossless(run.flows) ? 'lossless' : 'lossy', controls, run, actions }
}

export const totals = (flows: readonly FlowResult[]) => ({
  sent: flows.reduce((sum, { sent }) => sum + sent, 0),
  lost: flows.reduce((sum, { lost }) => sum + lost, 0),
  duplicates: flows.reduce((sum, { duplicates }) => sum + duplicates, 0),
  reordered: flows.reduce((sum, { reordered }) => sum + reordered, 0),
  longestGap: Math.max(0, ...flows.map(({ longestGap }) => longestGap)),
  broken: flows.reduce((sum, { tcp }) => sum + tcp.broken, 0),
  messages: flows.reduce((sum, { tcp }) => sum + tcp.messages, 0),
  longestStall: Math.max(0, ...flows.map(({ tcp }) => tcp.longestStall)),
})

/** `24,000 packets, 0 lost, longest gap 12 ms; 4,800 TCP messages, 0 resets, longest stall 30 ms`. */
export const summary = (flows: readonly FlowResult[]): string => {
  const t = totals(flows)
  const twice = t.duplicates > 0 ? `, ${t.duplicates} twice` : ''
  const udp = `${t.sent.toLocaleString('en')} packets, ${t.lost} lost${twice}, longest gap ${duration(t.longestGap)}`
  return `${udp}; ${t.messages.toLocaleString('en')} TCP messages, ${t.broken} resets, longest stall ${duration(t.longestStall)}`
}

/** The flows of one window as a table for people. */
export const flowTable = (flows: readonly FlowResult[], style: Style): string =>
  table(
    [
      [
        'path',
        'sent',
        'lost',
        'twice',
        'reordered',
        'longest gap',
        'mean delay',
        'max delay',
        'TCP messages',
        'resets',
        'longest stall',
      ],
      ...flows.map((flow) => [
        `${flow.from} > ${flow.to}`,
        String(flow.sent),
        (flow.lost === 0 ? style.good : style.bad)(String(flow.lost)),
        String(flow.duplicates),
        String(flow.reordered),
        duration(flow.longestGap),
        duration(flow.meanDelay),
        duration(flow.maxDelay),
        String(flow.tcp.messages),
        (flow.tcp.broken === 0 ? style.good : style.bad)(String(flow.tcp.broken)),
        duration(flow.tcp.longestStall),
      ]),
    ],
    style,
  )

/** Where packets were lost, in milliseconds from the start (one packet a millisecond): `a > b: 1203-1207`. */
export const lossLines = (flows: readonly FlowResult[]): string[] =>
  flows
    .filter(({ missing }) => missing.length > 0)
    .map(({ from, to, missing }) => {
      const ranges = missing.slice(0, 8).map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`))
      return `${from} > ${to}: lost at ${ranges.join(', ')}${missing.length > 8 ? ', …' : ''} ms`
    })
