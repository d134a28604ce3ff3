/** A port's bindings as a list request asks for them: filters, order, page, fields. Pure; there are a handful of them. */
import { ApiError } from '#kernel/errors.ts'
import type { Shown } from './binding.ts'

type Query = Readonly<Record<string, readonly string[]>>

const FILTERS = ['host', 'vif_type', 'vnic_type', 'status'] as const
const PAGE = ['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir']

const bad = (reason: string): ApiError => new ApiError('HTTPBadRequest', { reason })
const isFilter = (name: string): name is (typeof FILTERS)[number] => (FILTERS as readonly string[]).includes(name)

/** @throws HTTPBadRequest for filters, keys of order or limits that are none */
export function listed(bindings: readonly Shown[], query: Query): readonly Partial<Shown>[] {
  const strange = Object.keys(query).filter((name) => !isFilter(name) && !PAGE.includes(name))
  if (strange.length > 0) throw bad(`['${strange.join("', '")}'] is invalid attribute for filtering`)
  const wanted = bindings.filter((one) => FILTERS.every((name) => query[name]?.includes(one[name]) ?? true))
  return page(sorted(wanted, query), query).map((one) => withFields(one, query))
}

function sorted(bindings: readonly Shown[], { sort_key: keys = [], sort_dir: directions = [] }: Query): Shown[] {
  const strange = keys.filter((name) => !isFilter(name))
  if (strange.length > 0) throw bad(`['${strange.join("', '")}'] is invalid attribute for sort keys`)
  if (directions.length > 0 && directions.length !== keys.length)
    throw bad('The number of sort_keys and sort_dirs must be same')
  return bindings.toSorted((a, b) => {
    for (const [index, key] of keys.filter(isFilter).entries()) {
      if (a[key] !== b[key]) return a[key] < b[key] === (directions[index] !== 'desc') ? -1 : 1
    }
    return 0
  })
}

function page(bindings: readonly Shown[], query: Query): readonly Shown[] {
  const [limit = '', marker] = [query['limit']?.at(-1), query['marker']?.at(-1)]
  if (!/^\d{0,9}$/.test(limit)) throw bad(`Limit must be an integer 0 or greater and not '${limit}'`)
  const most = Number(limit) || bindings.length
  const before = query['page_reverse']?.at(-1)?.toLowerCase() === 'true'
  const at = marker === undefined ? -1 : bindings.findIndex(({ host }) => host === marker)
  if (before) return (at < 0 ? bindings : bindings.slice(0, at)).slice(-most)
  return bindings.slice(at + 1, at + 1 + most)
}

export function withFields(binding: Shown, query: Query): Partial<Shown> {
  const names = (query['fields'] ?? []).filter((name) => name !== '')
  if (names.length === 0) return binding
  return Object.fromEntries(Object.entries(binding).filter(([name]) => names.includes(name)))
}
