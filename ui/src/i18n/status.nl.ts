// Why an item of the status document is not well, in Dutch, by the code that agent and dashboard send; {0}, {1} are its
// params. Where one and several differ there are two, by {0}. A test compares the codes with those in the C sources.

export type Sentences = Readonly<Record<string, string | readonly [one: string, several: string]>>;

export const sentences: Sentences = {
  // host
  disk_full: '{0} % vol',
  inodes_used: '{0} % van de inodes is in gebruik',
  cpu_busy: 'al een tijd {0} % in gebruik',
  memory_used: '{0} % in gebruik',
  memory_stall: 'alles wacht {0} % van de tijd op geheugen',
  swap_used: '{0} % in gebruik',
  too_hot: '{0} °C',
  restart_needed: 'een herstart is nodig om updates af te maken',
  security_updates: ['{0} beveiligingsupdate', '{0} beveiligingsupdates'],
  journal_unreadable: 'het journaal is niet te lezen: {0}',
  // docker
  docker_away: '{0} (zonder Docker hier: haal ‘docker’ uit status.yml)',
  container_unhealthy: 'ongezond: de controle mislukte {0} keer achter elkaar',
  container_restarted: '{0} s geleden door Docker herstart, {1} keer sinds hij is gemaakt',
  container_oom: 'beëindigd: had meer geheugen nodig dan toegestaan',
  container_exited: 'gestopt met afsluitcode {0}',
  container_stopped: 'gestopt, hoewel het herstartbeleid {0} is',
  container_looping: 'stopt telkens weer: afsluitcode {0}, {1} keer herstart',
  container_paused: 'gepauzeerd',
  container_dead: 'dood: Docker kon hem niet verwijderen',
  container_created: 'gemaakt, maar niet gestart',
  container_state: 'de toestand is ‘{0}’',
  containers_hidden: ['nog {0} container wordt niet getoond', 'nog {0} containers worden niet getoond'],
  // units
  unit_missing: 'deze unit is er niet',
  unit_masked: 'is gemaskeerd: kan niet worden gestart',
  unit_file: 'het unitbestand is niet in orde ({0})',
  unit_failed: 'is mislukt',
  unit_failed_how: 'is mislukt ({0})',
  unit_restarting: 'gestopt, en wordt zo herstart',
  unit_starting: 'wordt gestart ({0})',
  unit_stopping: 'wordt gestopt ({0})',
  unit_inactive: 'draait niet',
  // certificates
  certificate_expired_today: 'vandaag verlopen',
  certificate_expired: ['{0} dag geleden verlopen', '{0} dagen geleden verlopen'],
  certificate_expires: ['verloopt over {0} dag', 'verloopt over {0} dagen'],
  certificate_future: 'is nog niet geldig',
  certificate_name: 'is niet voor de naam {0}',
  certificate_untrusted: 'geen vertrouwde uitgever staat ervoor in: de keten is onvolledig, of het heeft zichzelf ondertekend',
  certificate_unverified: 'klopt niet: {0}',
  // urls
  url_certificate: 'het certificaat klopt niet: {0}',
  url_malformed: 'is geen http- of https-adres',
  url_status: 'antwoordt {0} in plaats van {1}',
  url_text: 'in het antwoord staat ‘{0}’ niet',
  // repositories
  repository_changed: ['{0} gewijzigd bestand', '{0} gewijzigde bestanden'],
  repository_behind: ['{0} commit achter op {1}', '{0} commits achter op {1}'],
  repository_ahead: ['{0} commit niet in {1}', '{0} commits niet in {1}'],
  git_unreadable: 'het antwoord van git klopt niet',
  // backups
  backup_old_hours: 'is {0} uur oud',
  backup_old_days: 'is {0} dagen oud',
  backup_too_small: 'is {0} bytes groot; minstens {1} worden verwacht',
  backup_shrunk: 'is minder dan half zo groot als gewoon',
  backup_unreadable: 'de map is voor de agent niet te lezen',
  backup_too_many: 'er passen te veel bestanden bij het patroon',
  backup_none_yet: 'nog geen back-up: geen bestand past bij het patroon',
  backup_none: 'geen bestand past bij het patroon',
  // updater
  update_reverted: 'de laatste update is teruggedraaid: {0}',
  update_failed: 'de laatste update is mislukt: {0}',
  updates_unreadable: 'de geschiedenis van updates is niet te lezen: {0}',
  updates_senseless: 'de laatste regel van de geschiedenis van updates klopt niet',
  // database
  db_connections: '{0} van {1} verbindingen zijn in gebruik',
  db_idle: 'een transactie ligt al {0} stil',
  db_slow: 'een opdracht loopt al {0}',
  db_standby_behind: 'deze standby loopt {0} achter',
  db_replica_behind: 'een replica loopt {0} achter',
  db_checksums: ['{0} pagina klopte niet met zijn controlesom: zet een back-up terug', '{0} pagina’s klopten niet met hun controlesom: zet een back-up terug'],
  db_old_transaction: 'het oudste transactie-id is {0} miljoen oud: vacuum',
  db_dead_rows: '{0} % van de rijen is dood: draait autovacuum?',
};

/** The sentence in Dutch; null: the code is none of the known ones, or a param is missing. */
export function translate(known: Sentences, code: string, params: readonly string[]): string | null {
  if (!Object.hasOwn(known, code)) return null;
  const forms = known[code]!;
  const form = typeof forms === 'string' ? forms : forms[params[0] === '1' ? 0 : 1];
  let whole = true;
  const words = form.replace(/\{(\d)\}/g, (_, i: string) => params[Number(i)] ?? ((whole = false), ''));
  return whole ? words : null;
}
