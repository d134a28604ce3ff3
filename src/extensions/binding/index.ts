/** Why is a port bound as it is, or not, and what would become of it elsewhere: questions about bindings. */
import {
  type Action,
  defineExtension,
  defineResource,
  optional,
  type Resource,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'
import { explain } from './explain.ts'
import { body, simulate } from './simulate.ts'

const explanation: Action = {
  name: 'get_port_binding_explanation',
  method: 'GET',
  path: 'binding-explanation',
  rule: 'get_port_binding_explanation',
  docs: 'Says what each mechanism driver answered when the port was bound last, and what it would answer now.',
  run: async (context, { object }) => ({ binding_explanation: await explain(context, object) }),
}

const simulation = defineResource({
  name: 'binding_simulation',
  plural: 'binding_simulations',
  table: 'agents',
  docs: 'What would become of a port on each host. Nothing of it is stored.',
  notFound: { type: 'HTTPNotFound', param: 'id' },
  operations: [],
  attributes: { id: uuid() },
  actions: [
    {
      name: 'create_binding_simulation',
      method: 'POST',
      path: '',
      on: 'collection',
      rule: 'create_binding_simulation',
      body,
      envelope: 'binding_simulation',
      docs: 'Says for each host whether the port, or one like it, could be bound there and why not. Writes nothing.',
      run: simulate,
    },
  ],
})

const distributedHost = defineResource({
  name: 'distributed_port_host',
  plural: 'distributed_port_hosts',
  table: 'distributed_port_hosts',
  docs: 'A host where a port stands that stands on many, as the host reports it.',
  notFound: { type: 'HTTPNotFound', param: 'id' },
  operations: [],
  attributes: {
    id: uuid(),
    port_id: uuid(),
    host: text(),
    status: text(),
    generation: whole({ max: Number.MAX_SAFE_INTEGER }),
    message: optional(text()),
    reported_at: timestamp({ column: 'reported_at' }),
  },
})

const boundPort = defineResource({
  name: 'bound_port',
  plural: 'bound_ports',
  table: 'bound_ports',
  docs: 'Since when a port is bound as it is; none where the change log does not reach so far back.',
  notFound: { type: 'HTTPNotFound', param: 'id' },
  operations: [],
  attributes: { id: uuid(), bound_at: timestamp({ column: 'bound_at' }) },
})

export const bindingQuestions = defineExtension({
  alias: 'deuteron-binding',
  name: 'Port binding explained',
  description: 'Why a port is bound as it is, or not, and where it could be bound.',
  updated: '2026-11-22T00:00:00-00:00',
  requires: ['binding'],
  on: { port: { actions: [explanation] } },
  resources: [
    simulation as unknown as Resource,
    distributedHost as unknown as Resource,
    boundPort as unknown as Resource,
  ],
})
