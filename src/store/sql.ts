/** SQL that follows from a resource's definition: its select list, its columns, its values. */
import type { Attribute } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'

/** Identifiers come from the model, never from a request. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** How an attribute is read from row `t`; null for an input-only attribute. */
export const readExpression = (attribute: Attribute): string | null =>
  attribute.sql ?? (attribute.column === null ? null : `t.${quoteName(attribute.column)}`)

/** `expr as "attribute", …` over row `t`, each read by `read`. `project_id` is shown as `tenant_id` too where `twins`. */
export function selectList(
  resource: ComposedResource,
  names: readonly string[],
  { twins = false, read = readExpression }: { twins?: boolean; read?: (attribute: Attribute) => string | null } = {},
): string {
  return names
    .flatMap((name) => {
      const expression = read(resource.attributes[name] as Attribute)
      if (!expression) return []
      const own = `${expression} as ${quoteName(name)}`
      return twins && name === 'project_id' ? [own, `${expression} as tenant_id`] : [own]
    })
    .join(', ')
}

/** Everything the product itself knows of an object, secrets apart. */
export const imageList = (resource: ComposedResource): string =>
  selectList(
    resource,
    Object.keys(resource.attributes).filter((name) => !resource.attributes[name]?.secret),
  )

/** Attribute name → stored column, for what is stored. */
export const storedColumns = (resource: ComposedResource): readonly (readonly [string, string])[] =>
  Object.entries(resource.attributes).flatMap(([name, attribute]) =>
    attribute.column === null ? [] : [[name, attribute.column] as const],
  )

/** A PostgreSQL array type and the values it takes, for `= any(…)`. */
export const arrayType = (attribute: Attribute): string => `${attribute.pg === 'bigint' ? 'bigint' : attribute.pg}[]`
