/** Letting a host in: its credential from the server, and hearing that its agent has reported. */
import { existsSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { credentialFile } from './agents.ts'
import type { Api } from './api.ts'
import type { Lab } from './state.ts'

/** Asks the server for the host's credential and writes it to its file, unless that exists. */
export const enrol = async (lab: Lab, api: Api, host: string): Promise<void> => {
  const file = credentialFile(lab, host)
  if (existsSync(file)) return
  const { enrolment } = await api.call('POST', 'agents/enrolments', { enrolment: { host } })
  const beside = `${file}.new`
  await writeFile(beside, `${(enrolment as { secret: string }).secret}\n`, { mode: 0o600 })
  await rename(beside, file)
}

interface AgentRow {
  readonly host: string
  readonly alive: boolean
  readonly heartbeat_timestamp: string | null
}

/** True once the server lists an agent of this host that is alive and was heard from after `since` (ms since 1970). */
export const heardFrom = async (api: Api, host: string, since: number): Promise<boolean> => {
  const { agents } = await api.call('GET', `agents?host=${encodeURIComponent(host)}`)
  return (agents as AgentRow[]).some(
    ({ alive, heartbeat_timestamp: at }) => alive && at !== null && Date.parse(toIso(at)) >= since - 1000,
  )
}

/** Neutron writes `2026-01-31 12:00:00` and means UTC. */
const toIso = (text: string): string => (/[Zz]|[+-]\d\d:\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}Z`)
