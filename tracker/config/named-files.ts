/** The files and folders that a configuration names and whose content is read again when it changes. */
import type { TrackerConfig } from './schema.ts';

/** Their paths, as they are written in the configuration. The configuration's own file is not among them. */
export function namedFiles({
  core,
  http_api: api,
  http_trackers,
  udp_tracker_server,
}: TrackerConfig): string[] {
  const { database } = core;
  const certificates = [api, ...http_trackers].flatMap((service) => service?.tls_config ?? []);
  return [
    database?.user_file,
    database?.password_file,
    database?.tls?.ca_file,
    database?.tls?.cert_file,
    database?.tls?.key_file,
    api?.access_tokens_dir,
    udp_tracker_server.connection_id_keys_file,
    ...certificates.flatMap((tls) => [tls.ssl_cert_path, tls.ssl_key_path]),
  ].filter((path) => path !== undefined);
}
