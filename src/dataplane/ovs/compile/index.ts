/** From an object's key to the flows it needs: one pure function a type. */
import { splitKey, type WireKey, type WireType } from '#wire/objects.ts'
import { contentOf, OWNER, packCookie } from '../cookie.ts'
import type { Rule } from '../pipeline.ts'
import type { View } from '../view.ts'
import type { Flow } from '#protocol/openflow/flow.ts'
import { compileBase } from './base.ts'
import { compileDhcpClient } from './dhcp-client.ts'
import { compileNeighbor } from './neighbor.ts'
import { compileNetwork } from './network.ts'
import { compilePort } from './port.ts'
import { compileMember, compileSecurityGroup } from './security-group.ts'

/** A unit of compilation: an object of the world, or the flows every host has. */
export type Unit = WireKey | 'base'

const compilers: { readonly [T in WireType]: (id: string, view: View) => Rule[] } = {
  port: compilePort,
  network: compileNetwork,
  neighbor: compileNeighbor,
  chassis: () => [],
  router: () => [],
  security_group: compileSecurityGroup,
  group_member: compileMember,
  dhcp_client: compileDhcpClient,
}

const rulesOf = (unit: Unit, view: View): Rule[] => {
  if (unit === 'base') return compileBase()
  const { type, id } = splitKey(unit)
  return compilers[type](id, view)
}

/** The flows of `unit`, with cookies. The same rule written twice is one flow. */
export function compile(unit: Unit, view: View, version: number): Flow[] {
  const rules = rulesOf(unit, view)
  if (rules.length === 0) return []
  const object = view.number('object', unit)
  const flows = new Map<string, Flow>()
  for (const it of rules) {
    const cookie = packCookie({ owner: OWNER, version, object, content: contentOf(it) })
    flows.set(`${it.table} ${it.priority} ${it.match}`, { ...it, cookie })
  }
  return [...flows.values()]
}
