/** Tags: short texts that users hang on their objects, and the operations that change them. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  type Call,
  type Context,
  defineExtension,
  type Extension,
  type ExtensionPart,
  list,
  parseText,
  Reject,
  type Resource,
} from '#model/define.ts'
import { qosPolicy } from './qos/policy.ts'
import { network } from '#resources/network.ts'
import { floatingIp } from './l3/floating-ip.ts'
import { router } from './l3/router.ts'
import { port } from '#resources/port.ts'
import { trunk } from './trunk/index.ts'
import { securityGroup } from '#resources/security-group.ts'
import { subnet } from '#resources/subnet.ts'
import { subnetPool } from '#resources/subnet-pool.ts'

/** Lengths and numbers are Neutron's. A comma would not get through the filters, a slash not through a path. */
const MAX_TAGS = 50
const MAX_LENGTH = 255

const tag = {
  schema: { type: 'string', minLength: 1, maxLength: MAX_LENGTH, pattern: '^[^,/]+$' },
  parse: (value: unknown): string => {
    const text = parseText(MAX_LENGTH)(value)
    if (text === '' || /[,/]/.test(text))
      throw new Reject(`'${text}' is not a valid tag: it may not be empty nor hold , or /`)
    return text
  },
}
const tagList = { max: MAX_TAGS, unique: true, pg: 'text[]' } as const

const tagsOf = ({ object }: Call): readonly string[] => (object['tags'] ?? []) as readonly string[]

const parseTag = (value: string | undefined): string => {
  try {
    return tag.parse(value)
  } catch (error) {
    throw error instanceof Reject
      ? new ApiError('HTTPBadRequest', { reason: `Invalid input: ${error.message}.` })
      : error
  }
}

/** The tag of the path, which the object must have. */
const requireTag = (call: Call): string => {
  const wanted = parseTag(call.params['tag'])
  if (!tagsOf(call).includes(wanted)) throw new ApiError('TagNotFound', { tag: wanted })
  return wanted
}

/** What clients do with an object's tags, one by one and all at once. `rule`: who may; null: whoever sees it. */
export const tagOperations = (
  resource: Resource,
  rule: string | null = `update_${resource.policyName}`,
): readonly Action[] => [...READS, ...writes(resource, rule)]

const READS: readonly Action[] = [
  {
    name: 'list_tags',
    method: 'GET',
    path: 'tags',
    rule: null,
    docs: 'The tags of the object.',
    run: async (_, call) => ({ tags: tagsOf(call) }),
  },
  {
    name: 'check_tag',
    method: 'GET',
    path: 'tags/:tag',
    rule: null,
    docs: 'Has the object the tag? 204 if so.',
    run: async (_, call) => void requireTag(call),
  },
]

function writes(resource: Resource, rule: string | null): readonly Action[] {
  const store = (context: Context, { object }: Call, tags: readonly string[]) =>
    context.update(resource, String(object['id']), { tags })
  return [
    {
      rule,
      name: 'replace_tags',
      method: 'PUT',
      path: 'tags',
      body: { tags: list(tag, { ...tagList, set: 'create', required: true }) },
      docs: 'Gives the object these tags and no others.',
      run: async (context, call) => {
        const tags = call.body['tags'] as readonly string[]
        await store(context, call, tags)
        return { tags }
      },
    },
    {
      rule,
      name: 'add_tag',
      method: 'PUT',
      path: 'tags/:tag',
      status: 201,
      docs: 'Gives the object a tag.',
      run: async (context, call) => {
        const [wanted, tags] = [parseTag(call.params['tag']), tagsOf(call)]
        if (tags.includes(wanted)) return
        if (tags.length >= MAX_TAGS) throw new ApiError('HTTPBadRequest', { reason: `more than ${MAX_TAGS} tags` })
        await store(context, call, [...tags, wanted])
      },
    },
    {
      rule,
      name: 'remove_tags',
      method: 'DELETE',
      path: 'tags',
      docs: 'Takes all tags from the object.',
      run: async (context, call) => void (await store(context, call, [])),
    },
    {
      rule,
      name: 'remove_tag',
      method: 'DELETE',
      path: 'tags/:tag',
      docs: 'Takes a tag from the object.',
      run: async (context, call) => {
        const gone = requireTag(call)
        const rest = tagsOf(call).filter((one) => one !== gone)
        await store(context, call, rest)
      },
    },
  ]
}

const tagged = (resource: Resource, set: 'never' | 'create' = 'never'): readonly [string, ExtensionPart] => [
  resource.name,
  {
    attributes: { tags: list(tag, { ...tagList, set, default: [], column: 'tags', sql: 'to_jsonb(t.tags)' }) },
    actions: tagOperations(resource),
  },
]

const TAGGED = [
  tagged(network as Resource),
  tagged(subnet as Resource),
  tagged(subnetPool as Resource),
  tagged(port as Resource, 'create'),
  tagged(trunk as Resource),
  tagged(securityGroup as Resource),
  tagged(router),
  tagged(floatingIp),
  tagged(qosPolicy as Resource),
]

export const tags: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'standard-attr-tag',
    name: `Tag support for resources with standard attribute: ${TAGGED.map(([name]) => name).join(', ')}`,
    description: 'Tags of resources, and filters by them.',
    updated: '2017-01-01T00:00:00-00:00',
    on: Object.fromEntries(TAGGED),
  }),
  defineExtension({
    alias: 'tag-ports-during-bulk-creation',
    name: 'Tag Ports During Bulk Creation',
    description: 'Ports may be given tags when they are made.',
    updated: '2019-12-29T19:00:00-00:00',
  }),
])
