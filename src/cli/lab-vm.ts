/** `lab vm add|migrate|del|list`. */
import { parseArgs } from 'node:util'
import { labApi } from '#lab/lifecycle.ts'
import { vmNameIssue } from '#lab/names.ts'
import { listVms, readVm } from '#lab/state.ts'
import { styleFor, table } from '#lab/text.ts'
import { addVm } from '#lab/vm-add.ts'
import { migrateVm } from '#lab/vm-migrate.ts'
import { unplugVm } from '#lab/vm.ts'
import type { LabCommand } from './lab-common.ts'
import { requireLab, usage } from './lab-common.ts'

const add: LabCommand = async (argv, { stdout, env }) => {
  const { values, positionals } = parseArgs({
    args: argv,
    options: {
      name: { type: 'string' },
      port: { type: 'string' },
      host: { type: 'string' },
      'no-dhcp': { type: 'boolean', default: false },
    },
    allowPositionals: true,
  })
  const [name = ''] = positionals
  const issue = vmNameIssue(name)
  if (issue !== null) throw usage(issue)
  if (values.port === undefined) throw usage('say which port: deuteron lab vm add VM --port PORT [--host HOST]')
  const lab = await requireLab(values.name, env)
  const order = { name, port: values.port, host: values.host ?? null, dhcp: !values['no-dhcp'] }
  const vm = await addVm(lab, await labApi(lab), order)
  stdout.write(`${vm.name} on ${vm.host}: ${vm.addresses.join(' ')} (${vm.mac}, MTU ${vm.mtu})\n`)
  return 0
}

const migrate: LabCommand = async (argv, { stdout, env }) => {
  const { values, positionals } = parseArgs({
    args: argv,
    options: { name: { type: 'string' }, to: { type: 'string' } },
    allowPositionals: true,
  })
  const [name = ''] = positionals
  if (name === '' || values.to === undefined) throw usage('say which and where: deuteron lab vm migrate VM --to HOST')
  const lab = await requireLab(values.name, env)
  const had = await readVm(lab.paths, name)
  if (!had) throw new Error(`there is no VM ${name}`)
  const { vm, pausedMs } = await migrateVm(lab, await labApi(lab), had, values.to)
  stdout.write(`${name} went from ${had.host} to ${vm.host} and stood still for ${pausedMs.toFixed(0)} ms\n`)
  return 0
}

const del: LabCommand = async (argv, { stdout, env }) => {
  const { values, positionals } = parseArgs({
    args: argv,
    options: { name: { type: 'string' } },
    allowPositionals: true,
  })
  const lab = await requireLab(values.name, env)
  if (positionals.length === 0) throw usage('say which: deuteron lab vm del VM …')
  for (const name of positionals) {
    const vm = await readVm(lab.paths, name)
    if (!vm) throw new Error(`there is no VM ${name}`)
    await unplugVm(lab, vm)
    stdout.write(`${name} is gone\n`)
  }
  return 0
}

const list: LabCommand = async (argv, { stdout, env }) => {
  const { values } = parseArgs({ args: argv, options: { name: { type: 'string' }, json: { type: 'boolean' } } })
  const lab = await requireLab(values.name, env)
  const vms = await listVms(lab.paths)
  const rows = vms.map((vm) => [vm.name, vm.host, vm.addresses.join(' '), vm.mac, vm.portId])
  const text = table([['VM', 'HOST', 'ADDRESS', 'MAC', 'PORT'], ...rows], styleFor(stdout, env))
  stdout.write(values.json ? `${JSON.stringify(vms, null, 2)}\n` : `${text}\n`)
  return 0
}

const verbs: Readonly<Record<string, LabCommand>> = { add, migrate, del, list }

export const vmCommand: LabCommand = async ([verb = '', ...argv], io) => {
  const command = verbs[verb]
  if (!command) throw usage(`say what: deuteron lab vm add|migrate|del|list, not '${verb}'`)
  return command(argv, io)
}
