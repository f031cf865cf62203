/**
 * What a provider of clusters brings beside Kubernetes: volumes for claims, and addresses for load balancers. A process of
 * its own that looks at the cluster twice a second; while there is no API server, it waits for one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { openAdmin } from './control-plane.ts';
import { balanceLoad } from './load-balancer.ts';
import { installStorageClass, provideVolumes } from './storage.ts';

const PAUSE_MILLIS = 500;

const admin = openAdmin();
let complaint = '';
let hasClass = false;
for (;;) {
  try {
    if (!hasClass) await installStorageClass(admin);
    hasClass = true;
    await provideVolumes(admin);
    await balanceLoad(admin);
    complaint = '';
  } catch (error) {
    // Once for each kind of trouble, not twice a second.
    const text = String(error);
    if (text !== complaint) console.log(text);
    complaint = text;
  }
  await delay(PAUSE_MILLIS);
}
