/** SQL that follows from a resource's definition: its select list, its columns, its values. */
import type { Attribute } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'

/** Identifiers come from the model, never from a request. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** How an attribute is read from row `t` alone; null for an input-only attribute. */
export function readExpression({ sql, column, beside }: Attribute): string | null {
  if (beside) return `(select ${sql} from ${beside.table} ${beside.as} where ${beside.on})`
  return sql ?? (column === null ? null : `t.${quoteName(column)}`)
}

/** The rows beside `t` that these attributes read, each once. The limit keeps them look-ups: the order of rows stays. */
export function besides(attributes: readonly Attribute[]): string {
  const joins = attributes.flatMap(({ beside }) =>
    beside
      ? [
          ` left join lateral (select * from ${beside.table} ${beside.as} where ${beside.on} limit 1) ${beside.as} on true`,
        ]
      : [],
  )
  return [...new Set(joins)].join('')
}

/** `expr as "attribute", …` over row `t`, each read by `read`; `tenant_id` is `project_id` under its old name. */
export function selectList(
  resource: ComposedResource,
  names: readonly string[],
  read: (attribute: Attribute) => string | null = readExpression,
): string {
  return names
    .flatMap((name) => {
      const expression = read(resource.attributes[name === 'tenant_id' ? 'project_id' : name] as Attribute)
      return expression ? [`${expression} as ${quoteName(name)}`] : []
    })
    .join(', ')
}

/** Everything the product itself knows of an object, secrets apart. */
export const imageList = (resource: ComposedResource): string => selectList(resource, imageNames(resource))

export const imageNames = ({ attributes }: ComposedResource): string[] =>
  Object.keys(attributes).filter((name) => !attributes[name]?.secret)

type Columns = readonly (readonly [name: string, column: string])[]
const stored = new WeakMap<ComposedResource, Columns>()

/** Attribute name → stored column, for what is stored. */
export function storedColumns(resource: ComposedResource): Columns {
  const known = stored.get(resource)
  if (known) return known
  const columns = Object.entries(resource.attributes).flatMap(([name, attribute]) =>
    attribute.column === null ? [] : [[name, attribute.column] as const],
  )
  stored.set(resource, columns)
  return columns
}
