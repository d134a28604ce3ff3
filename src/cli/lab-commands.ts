/** `lab up`, `down`, `status`, `list`, `exec`, `break`, `agent`, `build-variant`. */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { breakDhcp, breakFlows, parseActions, strike } from '#lab/faults.ts'
import { hostNames, placeNames } from '#lab/hosts.ts'
import { bringDown, bringUp, type LabStatus, readStatus, type UpOptions } from '#lab/lifecycle.ts'
import { hostNamespace, labPaths, labRoot, MAX_HOSTS, vmNamespace } from '#lab/names.ts'
import { ovsEnv } from '#lab/ovs.ts'
import { ROUTER } from '#lab/rack.ts'
import { type Lab, listLabs, readVm } from '#lab/state.ts'
import { type Style, styleFor, table } from '#lab/text.ts'
import { strikeTools } from '#lab/tools.ts'
import { buildVariant } from '#lab/variant.ts'
import { deletePortOf, deleteNamespaceOf } from '#lab/vm.ts'
import { startAgent } from '#lab/agents.ts'
import type { LabCommand } from './lab-common.ts'
import { ensureLabPackages, nameOf, requireLab, usage, wholeNumber } from './lab-common.ts'

const up: LabCommand = async (argv, { stdout, env }) => {
  const { values } = parseArgs({
    args: argv,
    options: {
      hosts: { type: 'string', default: '3' },
      name: { type: 'string' },
      datapath: { type: 'string', default: 'netdev' },
      topology: { type: 'string' },
      bare: { type: 'boolean', default: false },
      server: { type: 'string' },
      openrc: { type: 'string' },
      feed: { type: 'string' },
    },
  })
  const name = nameOf(values.name)
  const { datapath } = values
  if (datapath !== 'netdev' && datapath !== 'system') throw usage(`--datapath is netdev or system, not '${datapath}'`)
  const { topology } = values
  if (topology !== undefined && topology !== 'flat' && topology !== 'hpb' && topology !== 'racks')
    throw usage(`--topology is flat, hpb or racks, not '${topology}'`)
  await ensureLabPackages()
  const wish: UpOptions = {
    name,
    hosts: wholeNumber(values.hosts, '--hosts', 1, MAX_HOSTS),
    datapath,
    ...(topology ? { topology } : {}),
    server: serverWish(values),
  }
  const { spec, paths } = await bringUp(labRoot(env), wish, (line) => stdout.write(`${line}\n`))
  const flag = name === 'default' ? '' : ` --name ${name}`
  if (spec.server) stdout.write(`\nuse it:  . ${spec.server.openrc} && openstack network agent list\n`)
  stdout.write(`look:    ./deuteron lab status${flag}      files: ${paths.dir}\nend it:  ./deuteron lab down${flag}\n`)
  return 0
}

const serverWish = (values: {
  bare: boolean
  server?: string | undefined
  openrc?: string | undefined
  feed?: string | undefined
}): UpOptions['server'] => {
  if (values.bare) return 'none'
  if (values.server === undefined) return 'own'
  if (values.openrc === undefined || values.feed === undefined)
    throw usage(
      '--server needs --openrc FILE (how to log in) and --feed URL (where agents connect, ws+unix:PATH:/agent)',
    )
  return { url: values.server, openrc: resolve(values.openrc), feeds: values.feed.split(',') }
}

const down: LabCommand = async (argv, { stdout, env }) => {
  const { values } = parseArgs({ args: argv, options: { name: { type: 'string' } } })
  const name = nameOf(values.name)
  const had = await bringDown(labRoot(env), name)
  stdout.write(had ? `lab ${name} is gone\n` : `there was no lab ${name}\n`)
  return 0
}

const list: LabCommand = async (_argv, { stdout, env }) => {
  for (const name of await listLabs(labRoot(env))) stdout.write(`${name}  ${labPaths(labRoot(env), name).dir}\n`)
  return 0
}

const status: LabCommand = async (argv, { stdout, env }) => {
  const { values } = parseArgs({ args: argv, options: { name: { type: 'string' }, json: { type: 'boolean' } } })
  const lab = await requireLab(values.name, env)
  const seen = await readStatus(lab)
  stdout.write(values.json ? `${JSON.stringify(seen, null, 2)}\n` : statusText(seen, styleFor(stdout, env)))
  const whole =
    seen.hosts.every((host) => host.vswitchd && host.ovsdb && (host.agentPid !== null || !seen.spec.server)) &&
    seen.tors.every((tor) => tor.vswitchd && tor.ovsdb && tor.emulator)
  return whole ? 0 : 1
}

const statusText = ({ spec, dir, serverPid, hosts, tors, vms }: LabStatus, style: Style): string => {
  const alive = (is: boolean, text: string): string => (is ? style.good(text) : style.bad('DEAD'))
  const server = !spec.server
    ? 'none (bare)'
    : spec.server.own
      ? `${spec.server.url}, ${alive(serverPid !== null, `pid ${serverPid}`)}`
      : spec.server.url
  const hostRows = hosts.map((host) => [
    host.host,
    spec.server ? alive(host.agentPid !== null, `pid ${host.agentPid}`) : '-',
    alive(host.ovsdb && host.vswitchd, 'running'),
    String(vms.filter((vm) => vm.host === host.host).length),
    host.build,
  ])
  const torRows = tors.map((tor) => [
    tor.tor,
    alive(tor.emulator, 'running'),
    alive(tor.ovsdb && tor.vswitchd, 'running'),
    tor.hosts.join(' '),
  ])
  const vmRows = vms.map((vm) => [
    vm.name,
    vm.host,
    vm.addresses.join(' '),
    vm.mac,
    vm.portStatus === 'ACTIVE' ? style.good(vm.portStatus) : vm.portStatus,
    vm.portId,
  ])
  const parts = [
    `${style.bold('lab')} ${spec.name}  ${style.bold('server')} ${server}  ${style.bold('files')} ${dir}`,
    table([['HOST', 'AGENT', 'OVS', 'VMS', 'BUILD'], ...hostRows], style),
    ...(tors.length > 0 ? [table([['TOR', 'EMULATOR', 'OVS', 'HOSTS'], ...torRows], style)] : []),
    ...(vms.length > 0 ? [table([['VM', 'HOST', 'ADDRESS', 'MAC', 'PORT IS', 'PORT'], ...vmRows], style)] : []),
  ]
  return `${parts.join('\n\n')}\n`
}

/** The namespace and environment of a host or VM of this lab. */
const placeOf = async (lab: Lab, name: string): Promise<{ ns: string; env: NodeJS.ProcessEnv }> => {
  if (name === ROUTER && lab.spec.topology === 'racks')
    return { ns: hostNamespace(lab.spec.name, name), env: process.env }
  if (placeNames(lab).includes(name))
    return { ns: hostNamespace(lab.spec.name, name), env: ovsEnv(lab.paths.host(name)) }
  if (await readVm(lab.paths, name)) return { ns: vmNamespace(lab.spec.name, name), env: process.env }
  throw new Error(`there is no host or VM ${name} in lab ${lab.spec.name}; see: deuteron lab status`)
}

const exec: LabCommand = async (argv, { env }) => {
  const cut = argv.indexOf('--')
  const { values, positionals } = parseArgs({
    args: cut < 0 ? argv : argv.slice(0, cut),
    options: { name: { type: 'string' } },
    allowPositionals: true,
  })
  const [place = '', ...early] = positionals
  const command = [...early, ...(cut < 0 ? [] : argv.slice(cut + 1))]
  if (place === '' || command.length === 0) throw usage('say where and what: deuteron lab exec HOST|VM -- COMMAND …')
  const { ns, env: inside } = await placeOf(await requireLab(values.name, env), place)
  const child = spawn('ip', ['netns', 'exec', ns, ...command], { stdio: 'inherit', env: inside })
  return new Promise((done, fail) => {
    child.on('error', fail)
    child.on('exit', (code, signal) => done(code ?? (signal ? 128 + 1 : 1)))
  })
}

const breaks: LabCommand = async (argv, { stdout, env }) => {
  const { values, positionals } = parseArgs({
    args: argv,
    options: { name: { type: 'string' } },
    allowPositionals: true,
  })
  const [what = '', where = ''] = positionals
  const lab = await requireLab(values.name, env)
  if (what === 'flows' || what === 'dhcp') {
    if (!hostNames(lab).includes(where))
      throw usage(`say which host: deuteron lab break ${what} ${hostNames(lab).join('|')}`)
    const killed = what === 'dhcp' ? await breakDhcp(lab, where) : await breakFlows(lab, where)
    stdout.write(
      what === 'dhcp' ? `killed ${killed} DHCP servers on ${where}\n` : `deleted the flows of br-int on ${where}\n`,
    )
    return 0
  }
  const vm = await readVm(lab.paths, where)
  if ((what !== 'port' && what !== 'namespace') || !vm)
    throw usage('say what: deuteron lab break flows|dhcp HOST, or deuteron lab break port|namespace VM')
  await (what === 'port' ? deletePortOf(lab, vm) : deleteNamespaceOf(lab, vm))
  stdout.write(
    what === 'port' ? `took ${vm.tap} out of br-int on ${vm.host}\n` : `deleted the namespace of ${vm.name}\n`,
  )
  return 0
}

const agent: LabCommand = async (argv, { stdout, env }) => {
  const { values, positionals } = parseArgs({
    args: argv,
    options: { name: { type: 'string' } },
    allowPositionals: true,
  })
  const [what = '', host = ''] = positionals
  const lab = await requireLab(values.name, env)
  const verb = { term: 'TERM', kill: 'KILL' }[what] ?? what
  if (verb === 'start' && hostNames(lab).includes(host)) await startAgent(lab, host)
  else {
    const actions = parseActions(`agent:${host}:${verb}`, hostNames(lab))
    if (typeof actions === 'string')
      throw usage(`say: deuteron lab agent start|term|kill|upgrade|downgrade HOST (${actions})`)
    for (const action of actions) await strike(lab, action, await strikeTools(lab))
  }
  stdout.write(`the agent of ${host} runs\n`)
  return 0
}

const variant: LabCommand = async (argv, { stdout }) => {
  const { positionals } = parseArgs({ args: argv, allowPositionals: true })
  const [target] = positionals
  if (target === undefined) throw usage('say where to: deuteron lab build-variant DIR')
  stdout.write(`${await buildVariant(resolve(target))}\n`)
  return 0
}

export const labCommands: Readonly<Record<string, LabCommand>> = {
  up,
  down,
  list,
  status,
  exec,
  agent,
  break: breaks,
  'build-variant': variant,
}
