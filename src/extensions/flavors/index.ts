/** Flavors of services, their profiles, and the providers. */
import { defineExtension, type Extension, type Resource } from '#model/define.ts'
import { flavor, flavorServiceProfile } from './flavor.ts'
import { routerFlavor } from './router-flavor.ts'
import { serviceProfile } from './service-profile.ts'
import { serviceProvider } from './service-provider.ts'

export const flavors: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'service-type',
    name: 'Neutron Service Type Management',
    description: 'Who provides which service.',
    updated: '2013-01-20T00:00:00-00:00',
    resources: [serviceProvider as Resource],
  }),
  defineExtension({
    alias: 'flavors',
    name: 'Neutron Service Flavors',
    description: 'Ways to have a service provided, for projects to choose from.',
    updated: '2015-09-17T10:00:00-00:00',
    requires: ['service-type'],
    resources: [flavor, serviceProfile, flavorServiceProfile] as Resource[],
  }),
  defineExtension({
    alias: 'l3-flavors',
    name: 'Router Flavor Extension',
    description: 'Routers as their flavor says.',
    updated: '2016-05-17T00:00:00-00:00',
    requires: ['flavors', 'router', 'dvr', 'l3-ha'],
    on: { router: routerFlavor },
  }),
])
