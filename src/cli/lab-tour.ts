/** `lab tour`: brings a lab up, plays the tour in it, and takes it down again unless told to keep it. */
import { parseArgs } from 'node:util'
import { bringDown, bringUp, labApi } from '#lab/lifecycle.ts'
import { labRoot } from '#lab/names.ts'
import { openLab } from '#lab/state.ts'
import { createStage } from '#lab/tour/stage.ts'
import { clearTour, playTour, STEPS } from '#lab/tour/story.ts'
import type { LabCommand } from './lab-common.ts'
import { ensureLabPackages, nameOf } from './lab-common.ts'

export const tourCommand: LabCommand = async (argv, { stdout, env }) => {
  const { values } = parseArgs({
    args: argv,
    options: { name: { type: 'string' }, keep: { type: 'boolean', default: false } },
  })
  const name = nameOf(values.name)
  await ensureLabPackages()
  const root = labRoot(env)
  const had = await openLab(root, name)
  const stage = createStage(stdout, env, STEPS)
  stage.act(
    'A cloud of three hosts on this machine',
    'Each host is a network namespace with its own Open vSwitch and a real agent; a Linux bridge joins them.',
  )
  const datapath = had?.spec.datapath ?? 'netdev'
  const wish = { name, hosts: Math.max(3, had?.spec.hosts ?? 3), datapath, server: 'own' } as const
  const flag = name === 'default' ? '' : ` --name ${name}`
  process.once('SIGINT', () => {
    stdout.write(`\nThe lab stays as it is; end it with: ./deuteron lab down${flag}\n`)
    process.exit(130)
  })
  const said: string[] = []
  const lab = await stage.step(
    'three hosts, a server and its database, three agents',
    () => bringUp(root, wish, (line) => said.push(line)),
    () => said.join('; '),
  )
  try {
    return (await playTour(lab, stage)) ? 0 : 1
  } finally {
    if (values.keep)
      stdout.write(`\nThe lab stays: ./deuteron lab status${flag}; end it with ./deuteron lab down${flag}\n`)
    else if (had)
      await stage.step("the tour's VMs, ports and networks are removed", async () => clearTour(lab, await labApi(lab)))
    else await stage.step('the lab is gone', () => bringDown(root, name))
  }
}
