/** Where resources stand in the API, as route patterns. */
import type { ComposedResource, Model } from './compose.ts'
import type { Action } from './define.ts'

/** Path of a resource's collection; of one that is part of another, below its parent's object (`:parent_id`). */
export function collectionPath(model: Model, { path, parent }: ComposedResource): string {
  return parent ? `${collectionPath(model, model.resource(parent.resource))}/:parent_id/${path}` : `/v2.0/${path}`
}

export const objectPath = (model: Model, resource: ComposedResource): string => `${collectionPath(model, resource)}/:id`

/** An action without a path of its own is another method of its object or collection. */
export function actionPath(model: Model, resource: ComposedResource, { on, path }: Action): string {
  const base = on === 'collection' ? collectionPath(model, resource) : objectPath(model, resource)
  return path === '' ? base : `${base}/${path}`
}
