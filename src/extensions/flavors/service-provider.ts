/** Who provides services: computed, the same for everyone. */
import { defineResource, flag, text, uuid } from '#model/define.ts'

export const serviceProvider = defineResource({
  name: 'service_provider',
  plural: 'service_providers',
  table: 'service_providers',
  docs: 'A way to provide a service, as service profiles name it by its driver.',
  notFound: { type: 'HTTPNotFound', param: 'resource' },
  operations: ['list'],
  attributes: {
    id: uuid({ visible: false }),
    service_type: text({ filter: true, sort: true }),
    name: text({ filter: true, sort: true }),
    default: flag({ filter: true, column: 'is_default' }),
    driver: text({ visible: false }),
  },
})
