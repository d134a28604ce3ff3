/** `lab probe`: counts what is lost between VMs while things are done to the lab. Exit codes: 0 lossless, 1 lossy, 3 void. */
import { parseArgs } from 'node:util'
import { parseActions } from '#lab/faults.ts'
import { hostNames } from '#lab/hosts.ts'
import { allPaths, flowTable, lossLines, type ProbeResult, runProbe, summary } from '#lab/probe-run.ts'
import { listVms, type VmState } from '#lab/state.ts'
import { duration, type Style, styleFor } from '#lab/text.ts'
import { strikeTools } from '#lab/tools.ts'
import type { LabCommand } from './lab-common.ts'
import { requireLab, usage } from './lab-common.ts'

const EXIT = { lossless: 0, lossy: 1, void: 3 } as const

const pick = (vms: readonly VmState[], names: string | undefined): VmState[] => {
  if (names === undefined) return [...vms]
  return names.split(',').map((name) => {
    const vm = vms.find((one) => one.name === name)
    if (!vm) throw usage(`there is no VM ${name}; there are ${vms.map((one) => one.name).join(', ') || 'none'}`)
    return vm
  })
}

export const probeCommand: LabCommand = async (argv, { stdout, env }) => {
  const { values } = parseArgs({
    args: argv,
    options: {
      name: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string' },
      seconds: { type: 'string', default: '10' },
      during: { type: 'string' },
      build: { type: 'string' },
      attempts: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
    },
  })
  const lab = await requireLab(values.name, env)
  const seconds = Number(values.seconds)
  if (!(seconds >= 1 && seconds <= 3600)) throw usage(`--seconds is a number from 1 to 3600, not '${values.seconds}'`)
  const vms = await listVms(lab.paths)
  const [from, to] = [pick(vms, values.from), pick(vms, values.to)]
  // Both ways between the two sides: an answer that is lost is as lost as a question.
  const paths = allPaths(vms).filter(
    (path) =>
      (from.some(({ name }) => name === path.from) && to.some(({ name }) => name === path.to)) ||
      (to.some(({ name }) => name === path.from) && from.some(({ name }) => name === path.to)),
  )
  if (paths.length === 0)
    throw usage('there are no two VMs on one network to probe between; add some with: deuteron lab vm add')
  const actions = values.during === undefined ? [] : parseActions(values.during, hostNames(lab))
  if (typeof actions === 'string') throw usage(actions)
  const say = (line: string): void => void (values.json || stdout.write(`${line}\n`))
  const order = { vms, paths, seconds, actions, attempts: Number(values.attempts) }
  const result = await runProbe(lab, order, await strikeTools(lab, values.build), say)
  stdout.write(values.json ? `${JSON.stringify(result, null, 2)}\n` : resultText(result, styleFor(stdout, env)))
  return EXIT[result.verdict]
}

const resultText = ({ verdict, controls, run, actions }: ProbeResult, style: Style): string => {
  const shown = run ?? controls[0]
  const lines = [
    ...controls.map(({ seconds, flows }) => `control  ${seconds.toFixed(1)} s: ${summary(flows)}`),
    ...(run ? [`run      ${run.seconds.toFixed(1)} s: ${summary(run.flows)}`] : []),
    ...actions.map(({ action, at, took }) => `         at ${duration(at)}: ${action}, took ${duration(took)}`),
    ...(shown ? ['', flowTable(shown.flows, style), ...lossLines(shown.flows)] : []),
    '',
    verdict === 'lossless'
      ? style.good('lossless')
      : verdict === 'lossy'
        ? style.bad('LOSSY')
        : style.bad('VOID: no control window was lossless, so the run proves nothing'),
  ]
  return `${lines.join('\n')}\n`
}
