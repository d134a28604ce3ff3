/** A router's own routes: what they look like, which are valid, adding and removing some of them. */
import { ApiError } from '#kernel/errors.ts'
import { formatPrefix, networkOf, parsePrefix } from '#kernel/ip.ts'
import {
  type Action,
  type Attribute,
  type Call,
  type Context,
  list,
  type Options,
  parseAddress,
  parseText,
  Reject,
  type Resource,
  structure,
} from '#model/define.ts'
import { inBlock, type RouterAddress } from './addresses.ts'

const MAX_ROUTES = 30

export interface Route {
  readonly destination: string
  readonly nexthop: string
}

const parseDestination = (value: unknown): string => {
  const text = parseText(64)(value)
  const prefix = text.includes('/') ? parsePrefix(text) : null
  if (!prefix) throw new Reject(`'${text}' is not a valid IP subnet`)
  const network = formatPrefix(networkOf(prefix))
  if (network === formatPrefix(prefix)) return network
  throw new Reject(`'${text}' isn't a recognized IP subnet cidr, '${network}' is recommended`)
}
const route = structure<Route>({
  destination: { schema: { type: 'string' }, parse: parseDestination, required: true },
  nexthop: { schema: { type: 'string' }, parse: parseAddress, required: true },
})

/** Null means no routes. */
export const routeList = (options: Options<readonly Route[]>): Attribute<readonly Route[]> => {
  const routes = list(route, { ...options, unique: true })
  return { ...routes, parse: (value) => (value === null ? [] : routes.parse(value)) }
}

/** Each next hop must be a neighbour: on a subnet of the router, and not the router itself. */
export function checkRoutes(
  routerId: string,
  routes: readonly Route[],
  cidrs: readonly (string | null)[],
  own: readonly (string | null)[],
): void {
  if (routes.length > MAX_ROUTES) throw new ApiError('RoutesExhausted', { router_id: routerId, quota: MAX_ROUTES })
  for (const { nexthop } of routes) {
    const reason = !cidrs.some((cidr) => inBlock(nexthop, cidr))
      ? 'the nexthop is not connected with router'
      : own.includes(nexthop)
        ? 'the nexthop is used by router'
        : null
    if (reason) throw new ApiError('InvalidRoutes', { routes: JSON.stringify(routes), reason }, { reason, nexthop })
  }
}

export const checkRoutesBy = (routerId: string, routes: readonly Route[], addresses: readonly RouterAddress[]): void =>
  checkRoutes(
    routerId,
    routes,
    addresses.map((one) => one.cidr),
    addresses.map((one) => one.ip_address),
  )

const same = (a: Route, b: Route): boolean => a.destination === b.destination && a.nexthop === b.nexthop
const without = (routes: readonly Route[], gone: readonly Route[]): Route[] =>
  routes.filter((one) => !gone.some((other) => same(one, other)))

/** Routes that are there already stay once; routes that are not there are gone already. */
export const plus = (routes: readonly Route[], more: readonly Route[]): Route[] => [...routes, ...without(more, routes)]
export const minus = without

/** `add_extraroutes`, `remove_extraroutes`: clients that change different routes do not overwrite each other's. */
export function routeActions(router: () => Resource): readonly Action[] {
  const action = (
    name: string,
    docs: string,
    change: (routes: readonly Route[], given: readonly Route[]) => readonly Route[],
  ): Action => ({
    name,
    method: 'PUT',
    path: name,
    rule: name,
    envelope: 'router',
    body: { routes: routeList({ set: 'create', required: true }) },
    docs,
    run: async (context: Context, { object, body }: Call) => {
      const [old, given] = [object['routes'], body['routes']] as (readonly Route[])[]
      const changed = await context.update(router(), String(object['id']), { routes: change(old ?? [], given ?? []) })
      return { router: context.shown('router', changed) }
    },
  })
  return [
    action('add_extraroutes', 'Adds routes to the router.', plus),
    action('remove_extraroutes', 'Takes routes from the router.', minus),
  ]
}
