/**
 * `torrust-operator check`: asks the API server, verb by verb, what the operator may do with the present credentials, and
 * prints what it may not.
 */
import type { Command } from 'commander';
import { valueAt } from '../json-path.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Permission, PERMISSIONS, type Verb } from '../permissions.ts';
import { ownNamespace } from '../surroundings.ts';
import { openCluster } from './cluster.ts';
import { readNamespaces } from './namespaces.ts';
import { ExitCode } from './usage-error.ts';

interface CheckOptions {
  readonly namespaces?: readonly string[];
  readonly context?: string;
}

/** One question. */
interface Question {
  readonly permission: Permission;
  readonly resource: string;
  readonly verb: Verb;
  /** Undefined: everywhere. */
  readonly namespace: string | undefined;
}

const DEADLINE_MILLIS = 60_000;
const PARALLEL = 8;

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('Say what the operator may and may not do in this cluster. Changes nothing.')
    .option('--namespaces <list>', 'as for run', readNamespaces)
    .option('--context <name>', 'another context of the kubeconfig than the current one')
    .action(check);
}

async function check({ namespaces, context }: CheckOptions): Promise<void> {
  const { client, connection } = await openCluster(context);
  const signal = AbortSignal.timeout(DEADLINE_MILLIS);
  try {
    process.stdout.write(
      `Kubernetes ${await client.serverVersion({ signal })} at ${connection.server.origin}\n\n`,
    );
    const questions = PERMISSIONS.flatMap((permission) =>
      questionsOf(permission, namespaces, ownNamespace(connection)),
    );
    const answers: boolean[] = [];
    for (let at = 0; at < questions.length; at += PARALLEL) {
      const asked = questions.slice(at, at + PARALLEL).map((question) => isAllowed(client, question, signal));
      answers.push(...(await Promise.all(asked)));
    }
    print(questions.map((question, index) => ({ question, isAllowed: answers[index] ?? false })));
  } finally {
    await connection.close();
  }
}

function questionsOf(
  permission: Permission,
  namespaces: readonly string[] | undefined,
  own: string,
): Question[] {
  const places: readonly (string | undefined)[] =
    permission.scope === 'own'
      ? [own]
      : permission.scope === 'cluster'
        ? [undefined]
        : (namespaces ?? [undefined]);
  return places.flatMap((namespace) =>
    permission.resources.flatMap((resource) =>
      permission.verbs.map((verb) => ({ permission, resource, verb, namespace })),
    ),
  );
}

async function isAllowed(
  client: KubeClient,
  { permission, resource, verb, namespace }: Question,
  signal: AbortSignal,
): Promise<boolean> {
  const [plural, subresource] = resource.split('/');
  const attributes = { group: permission.group, resource: plural, subresource, verb, namespace };
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: attributes },
  };
  return valueAt(await client.review(review, { signal }), 'status', 'allowed') === true;
}

interface Answer {
  readonly question: Question;
  readonly isAllowed: boolean;
}

/** One line for each resource and place; what is missing follows its name. */
function print(answers: readonly Answer[]): void {
  const lines = new Map<string, Answer[]>();
  for (const answer of answers) {
    const { permission, resource, namespace } = answer.question;
    const name = `${resource}${permission.group === '' ? '' : `.${permission.group}`}`;
    const line = `${name} ${namespace === undefined ? '' : `in ${namespace}`}`.trimEnd();
    lines.set(line, [...(lines.get(line) ?? []), answer]);
  }
  const width = Math.max(...[...lines.keys()].map((line) => line.length));
  let isEnough = true;
  for (const [line, ofLine] of lines) {
    const lacking = ofLine.filter((answer) => !answer.isAllowed);
    const [first] = ofLine;
    const verbs = (list: readonly Answer[]) => list.map(({ question }) => question.verb).join(', ');
    const isNeeded =
      first?.question.permission.isOptional !== true && first?.question.permission.scope !== 'cluster';
    if (lacking.length > 0 && isNeeded) isEnough = false;
    const verdict = lacking.length === 0 ? 'yes' : isNeeded ? 'NO ' : 'no ';
    const what =
      lacking.length === 0 ? verbs(ofLine) : `lacks ${verbs(lacking)}: ${first?.question.permission.why}`;
    process.stdout.write(`${verdict}  ${line.padEnd(width)}  ${what}\n`);
  }
  process.stdout.write(
    isEnough
      ? '\nThe operator may do everything that it needs.\n'
      : '\nThe operator may not do everything that it needs: see the lines with NO.\n',
  );
  if (!isEnough) process.exitCode = ExitCode.failed;
}
