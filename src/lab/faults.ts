/**
 * What can be done to a lab while traffic flows: agents and servers signalled, restarted, upgraded; flows, ports and
 * DHCP servers taken away behind an agent's back. The grammar is parsed purely; `strike` carries one action out.
 */
import { join } from 'node:path'
import { run, sleep } from './exec.ts'
import { dhcpServers, startAgent, stopAgent, waitForAgent } from './agents.ts'
import { restoreOvs } from './hosts.ts'
import { ovsProcesses } from './ovs.ts'
import { signal, terminate } from './processes.ts'
import { startServer, stopServer } from './server.ts'
import type { Lab } from './state.ts'

export type Action =
  | { readonly on: 'agent'; readonly host: string; readonly what: 'TERM' | 'KILL' | 'upgrade' | 'downgrade' }
  | { readonly on: 'server'; readonly what: 'TERM' | 'KILL' | 'stop' | 'start' }
  | { readonly on: 'ovs'; readonly host: string; readonly what: 'restart' }
  | { readonly on: 'flows' | 'dhcp'; readonly host: string; readonly what: 'break' }
  | { readonly on: 'wait'; readonly seconds: number }

export const ACTION_FORMS =
  'agent:HOST:TERM, agent:HOST:KILL, agent:HOST:upgrade, agent:HOST:downgrade, server:TERM, server:KILL, server:stop, server:start, ovs:HOST:restart, flows:HOST:break, dhcp:HOST:break, wait:SECONDS (HOST may be *; several with commas)'

/** Pure. The actions of a `--during` text in order, `*` spread over the hosts; a sentence for what it cannot mean. */
export const parseActions = (text: string, hosts: readonly string[]): Action[] | string => {
  const actions: Action[] = []
  for (const part of text.split(',').map((one) => one.trim())) {
    const parsed = parseAction(part, hosts)
    if (typeof parsed === 'string') return parsed
    actions.push(...parsed)
  }
  return actions
}

/** What can be done to each kind of thing on a host. */
const ON_HOSTS: Readonly<Record<string, readonly string[]>> = {
  agent: ['TERM', 'KILL', 'upgrade', 'downgrade'],
  ovs: ['restart'],
  flows: ['break'],
  dhcp: ['break'],
}

const ON_SERVERS: readonly string[] = ['TERM', 'KILL', 'stop', 'start']

const parseAction = (part: string, hosts: readonly string[]): Action[] | string => {
  const bad = `'${part}' is not an action; there are: ${ACTION_FORMS}`
  const [on = '', ...rest] = part.split(':')
  const last = rest.at(-1) ?? ''
  if (on === 'wait' && rest.length === 1) return /^\d+(\.\d+)?$/.test(last) ? [{ on, seconds: Number(last) }] : bad
  if (on === 'server' && rest.length === 1) return ON_SERVERS.includes(last) ? [{ on, what: last } as Action] : bad
  const [host = '', what = '', ...more] = rest
  if (more.length > 0 || !ON_HOSTS[on]?.includes(what)) return bad
  const targets = host === '*' ? hosts : hosts.filter((one) => one === host)
  if (targets.length === 0) return `there is no host '${host}'; there are ${hosts.join(', ')}`
  return targets.map((target) => ({ on, host: target, what }) as Action)
}

export const describeAction = (action: Action): string => {
  switch (action.on) {
    case 'agent':
      return action.what === 'TERM' || action.what === 'KILL'
        ? `SIG${action.what} the agent of ${action.host}, start it again`
        : `${action.what} the agent of ${action.host} in place`
    case 'server':
      return action.what === 'stop' || action.what === 'start'
        ? `${action.what} the server`
        : `SIG${action.what} the server, start it again`
    case 'ovs':
      return `restart Open vSwitch on ${action.host}`
    case 'flows':
      return `delete all flows on ${action.host}`
    case 'dhcp':
      return `kill the DHCP servers on ${action.host}`
    case 'wait':
      return `wait ${action.seconds} s`
  }
}

export interface StrikeTools {
  /** True once the server has heard from this host's agent after `since` (ms since 1970). */
  readonly heardFrom: (host: string, since: number) => Promise<boolean>
  /** Another build of the source tree, for upgrades; made when first asked for. */
  readonly otherBuild: () => Promise<string>
  readonly ownBuild: string
}

/** Carries one action out and answers when the lab stands again: agents have reported, the server serves. */
export const strike = async (lab: Lab, action: Action, tools: StrikeTools): Promise<void> => {
  switch (action.on) {
    case 'agent': {
      const build = action.what === 'upgrade' ? await tools.otherBuild() : undefined
      const back = action.what === 'downgrade' ? tools.ownBuild : build
      await stopAgent(lab, action.host, action.what === 'KILL' ? 'SIGKILL' : 'SIGTERM')
      const since = Date.now()
      await startAgent(lab, action.host, back)
      return waitForAgent(lab, action.host, () => tools.heardFrom(action.host, since), 20_000)
    }
    case 'server':
      if (action.what !== 'start') await stopServer(lab.paths, action.what === 'KILL' ? 'SIGKILL' : 'SIGTERM')
      if (action.what !== 'stop') await startServer(lab)
      return
    case 'ovs':
      await terminate(ovsProcesses(lab.paths.host(action.host)).vswitchd)
      return restoreOvs(lab, action.host)
    case 'flows':
      return breakFlows(lab, action.host)
    case 'dhcp':
      await breakDhcp(lab, action.host)
      return
    case 'wait':
      return sleep(action.seconds * 1000)
  }
}

/** Deletes every flow of the integration bridge, as a careless hand would. */
export const breakFlows = async (lab: Lab, host: string): Promise<void> => {
  await run(['ovs-ofctl', '-O', 'OpenFlow15', 'del-flows', `unix:${join(lab.paths.host(host), 'br-int.mgmt')}`])
}

/** Kills the DHCP servers that belong to this host's agent; answers how many there were. */
export const breakDhcp = async (lab: Lab, host: string): Promise<number> =>
  (await dhcpServers(lab.paths, host)).filter(({ process }) => signal(process, 'SIGKILL')).length
