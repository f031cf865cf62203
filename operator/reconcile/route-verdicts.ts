/**
 * Whether gateways have taken up the routes of a tracker, by the status that their controllers write.
 * https://gateway-api.sigs.k8s.io/guides/api-design/#route-status
 */
import type { Problem } from '../crd/conditions.ts';
import { listAt, textAt } from '../json-path.ts';
import type { KubeObject } from '../kube/kube-object.ts';

const ROUTES: readonly string[] = ['HTTPRoute', 'UDPRoute'];
const NEEDED: readonly string[] = ['Accepted', 'ResolvedRefs'];

/** One problem for each route that no gateway, or not every gateway, has taken up. */
export function judgeRoutes(objects: readonly KubeObject[]): Problem[] {
  return objects.filter(({ kind }) => ROUTES.includes(kind)).flatMap(judgeRoute);
}

function judgeRoute(route: KubeObject): Problem[] {
  const { kind, metadata } = route;
  const say = (what: string): Problem[] => [
    {
      condition: 'ExposureReady',
      reason: 'RouteNotAccepted',
      message: `The ${kind} ${metadata.name} ${what}`,
    },
  ];
  const parents = listAt(route, 'status', 'parents');
  if (parents.length === 0) {
    const names = listAt(route, 'spec', 'parentRefs').flatMap((parent) => {
      const [namespace, name = ''] = [textAt(parent, 'namespace'), textAt(parent, 'name')];
      return namespace === undefined ? [name] : [`${namespace}/${name}`];
    });
    return say(
      `has not been taken up by any gateway: see that the Gateway ${[...new Set(names)].join(' or ')} of its parentRefs exists, and that a controller runs its GatewayClass.`,
    );
  }
  for (const parent of parents) {
    const refused = listAt(parent, 'conditions').find(
      (condition) =>
        NEEDED.includes(textAt(condition, 'type') ?? '') && textAt(condition, 'status') === 'False',
    );
    if (refused !== undefined) {
      const gateway = textAt(parent, 'parentRef', 'name') ?? 'its parent';
      const why = textAt(refused, 'message') ?? textAt(refused, 'reason') ?? 'no reason is given';
      return say(`is not accepted by ${gateway}: ${why}`);
    }
  }
  return [];
}
