// What the npm package `etcd3` can do, once each, against the member at host and port given as arguments.
//
// One line for each thing seen, which a test compares; ids that the member draws by lot are not told.
'use strict';
const crypto = require('crypto');
const { once } = require('events');
const { noop } = require('cockatiel');
const { Etcd3, Range } = require('etcd3');

function plain(value) {
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') {
    const keys = Object.keys(value).filter((key) => value[key] !== undefined);
    return Object.fromEntries(keys.sort().map((key) => [key, plain(value[key])]));
  }
  return value;
}

function say(label, ...values) {
  console.log(label, ...values.map((value) => JSON.stringify(plain(value))));
}

async function sayError(label, call) {
  try {
    say(label, 'went well', await call());
  } catch (error) {
    say(label, error.constructor.name, error.message);
  }
}

async function keysAndValues(client) {
  say('put', await client.put('k/a').value('1'));
  await client.put('k/b').value(Buffer.from([0, 255]));
  await client.put('k/c').value(42);
  say('previous', await client.put('k/a').value('2').getPrevious());
  say('touch', await client.put('k/a').touch());
  say('get', await client.get('k/a'), await client.get('k/a').string(), await client.get('k/none'));
  say('exists', await client.get('k/a').exists(), await client.get('k/none').exists());
  say('as others', await client.get('k/c').number(), await client.get('k/b').buffer(), await client.get('k/c').json());
  say('earlier', await client.get('k/a').revision('2'), await client.get('k/a').serializable(true).exec());
  await sayError('later', () => client.get('k/a').revision('1000').string());
  say('all', await client.getAll().strings(), await client.getAll().keys(), await client.getAll().count());
  for (const target of ['Key', 'Version', 'Create', 'Mod', 'Value']) {
    for (const order of ['None', 'Ascend', 'Descend']) {
      say(`sort ${target} ${order}`, await client.getAll().prefix('k/').sort(target, order).keys());
    }
  }
  say('limit', await client.getAll().prefix('k/').limit(2).exec());
  say('range', await client.getAll().inRange({ start: 'k/b', end: 'k/d' }).buffers());
  say('revisions', await client.getAll().minModRevision(3).maxModRevision(4).keys(),
    await client.getAll().minCreateRevision(3).maxCreateRevision(3).keys());
  say('delete', await client.delete().key('k/c'), await client.delete().prefix('k/b').getPrevious());
  say('delete range', await client.delete().range(new Range('k/', 'k0')), await client.delete().all());
  await sayError('empty key', () => client.put('').value('x').exec());
}

async function namespaces(client) {
  const users = client.namespace('users/');
  await users.put('a').value('1');
  await users.namespace('deep/').put('b').value('2');
  say('inside', await users.getAll().strings(), await users.get('a'));
  say('outside', await client.getAll().prefix('users/').strings());
  const watcher = await users.watch().prefix('').create();
  const seen = once(watcher, 'put');
  await users.put('c').value('3');
  say('watched', (await seen)[0].key, (await seen)[0].value);
  await watcher.cancel();
  say('emptied', (await users.delete().all()).deleted, await client.getAll().count());
}

async function transactions(client) {
  await client.put('t/a').value('1');
  const build = () => client.if('t/a', 'Value', '==', '1').and('t/b', 'Version', '===', 0)
    .and('t/a', 'Mod', '>', 1).and('t/a', 'Create', '!=', 0).and('t/a', 'Lease', '==', 0)
    .then(client.put('t/b').value('2'), client.get('t/a'), client.getAll().prefix('t/'))
    .else(client.get('t/b'), client.delete().key('t/b'));
  say('then', await build().commit());
  say('else', await build().commit());
  await sayError('twice', () => client.if('t/a', 'Value', '==', '1')
    .then(client.put('t/x').value('1'), client.put('t/x').value('2')).commit());

  await client.put('t/count').value(0);
  const add = () => client.stm({ retries: 100 }).transact(async (tx) => {
    const now = await tx.get('t/count').number();
    await tx.put('t/count').value(now + 1);
  });
  await Promise.all(Array.from({ length: 8 }, add));
  say('counted', await client.get('t/count').number());
  for (const isolation of [0, 1, 2, 3]) {
    await client.stm({ isolation, prefetch: ['t/count'] }).transact(async (tx) => {
      await tx.put(`t/isolated/${isolation}`).value(await tx.get('t/count'));
      await tx.delete().key('t/a');
    });
  }
  say('isolated', await client.getAll().prefix('t/isolated/').strings(), await client.get('t/a'));
}

async function leases(client) {
  const lease = client.lease(100);
  const keptAlive = once(lease, 'keepaliveSucceeded');
  await lease.put('l/a').value('1');
  const id = await lease.grant();
  await client.put('l/b').value('1').lease(id);
  await client.put('l/b').value('2').ignoreLease();
  const life = await client.leaseClient.leaseTimeToLive({ ID: id, keys: true });
  say('lease', life.grantedTTL, life.keys.map(String).sort(), (await lease.keepaliveOnce()).TTL);
  const listed = await client.leaseClient.leaseLeases();
  say('listed', listed.leases.length, listed.leases[0].ID === id);
  say('kept alive', (await keptAlive)[0].TTL);
  await lease.revoke();
  say('revoked', lease.revoked(), await client.getAll().prefix('l/').count());
  await sayError('revoked twice', () => client.leaseClient.leaseRevoke({ ID: id }));
  await sayError('put with no lease', () => client.put('l/c').value('1').lease('4711').exec());

  const lost = client.lease(1000);
  const loss = once(lost, 'lost');
  const established = once(lost, 'keepaliveSucceeded');
  const lostId = await lost.grant();
  await established;
  await client.leaseClient.leaseRevoke({ ID: lostId });
  await lost.keepaliveOnce().catch(() => {});
  say('lost', (await loss)[0].constructor.name);

  const short = client.lease(1, { autoKeepAlive: false });
  const watcher = await client.watch().key('l/short').only('delete').create();
  const gone = once(watcher, 'delete');
  await short.put('l/short').value('1');
  say('expired', (await gone)[0].key);
  await watcher.cancel();
}

async function watches(client) {
  const start = (await client.put('w/a').value('0')).header.revision;
  const watcher = await client.watch().prefix('w/').startRevision(start).withPreviousKV().create();
  const seen = [];
  const full = new Promise((resolve) => {
    const note = (kind) => (pair, previous) => seen.push([kind, pair, previous]) === 4 && resolve();
    watcher.on('put', note('put')).on('delete', note('delete'));
  });
  await client.put('w/a').value('1');
  await client.put('w/b').value('1');
  await client.delete().key('w/a');
  await full;
  for (const event of seen) say('event', ...event);
  await watcher.cancel();

  const watchers = await Promise.all(
    Array.from({ length: 50 }, (_, number) => client.watch().key(`w/${number}`).only('put').create()));
  const events = watchers.map((one) => once(one, 'put'));
  await Promise.all(watchers.map((_, number) => client.put(`w/${number}`).value(number)));
  say('many', (await Promise.all(events)).map(([pair]) => pair.value));
  await Promise.all(watchers.map((one) => one.cancel()));

  await client.kv.compact({ revision: (await client.put('w/z').value('1')).header.revision, physical: true });
  const late = client.watch().key('w/a').startRevision(start).watcher();
  say('compacted', (await once(late, 'error').catch((error) => [error]))[0].message);
}

async function locksAndElections(client) {
  const lock = await client.lock('resource').ttl(50).acquire();
  await sayError('locked', () => client.lock('resource').acquire());
  await lock.release();
  say('done', await client.lock('resource').do(() => 'inside'));

  const election = client.election('chief', 50);
  const observer = await election.observe();
  const first = election.campaign('first');
  await once(first, 'elected');
  while (observer.leader() !== 'first') await once(observer, 'change');
  const second = election.campaign('second');
  await second.getCampaignKey();
  say('leader', await election.leader());
  await first.proclaim('first again');
  while (observer.leader() !== 'first again') await once(observer, 'change');
  const elected = once(second, 'elected');
  await first.resign();
  await elected;
  while (observer.leader() !== 'second') await once(observer, 'change');
  say('next', await election.leader());
  await second.resign();
  await observer.cancel();
}

async function maintenance(client) {
  const { members } = await client.cluster.memberList({});
  say('members', members);
  const status = await client.maintenance.status();
  say('status', status.leader === members[0].ID, status.raftTerm, typeof status.version);
  say('alarm', await client.maintenance.alarm({ action: 'Activate', memberID: members[0].ID, alarm: 'Nospace' }));
  await sayError('no space', () => client.put('m/a').value('1').exec());
  say('disarm', (await client.maintenance.alarm({ action: 'Deactivate', memberID: members[0].ID, alarm: 'Nospace' })).alarms);
  say('defragment', Object.keys(await client.maintenance.defragment()));
  const blobs = [];
  const stream = await client.maintenance.snapshot();
  stream.on('data', ({ blob }) => blobs.push(blob));
  await once(stream, 'end');
  const all = Buffer.concat(blobs);
  const digest = crypto.createHash('sha256').update(all.subarray(0, -32)).digest();
  say('snapshot', (all.length - 32) % 4096, digest.equals(all.subarray(-32)));
}

async function users(client, address) {
  const root = await client.role('root').create();
  const chief = await client.user('root').create('rootpw');
  await chief.addRole(root);
  const some = await client.role('some').create();
  await some.grant([
    { permission: 'Readwrite', range: client.range({ prefix: 'u/' }) },
    { permission: 'Read', key: 'v' },
  ]);
  const user = await client.user('user').create('pw');
  await some.addUser(user);
  say('roles', (await client.getRoles()).map((role) => role.name), (await user.roles()).map((role) => role.name));
  say('permissions', (await some.permissions()).map(({ permission, range }) => [permission, range.start, range.end]));
  await some.revoke({ permission: 'Read', key: 'v' });
  await sayError('created twice', () => client.user('user').create('pw'));
  await sayError('unknown role', () => user.addRole('none'));
  await user.setPassword('other');
  await client.auth.authEnable();

  const mine = new Etcd3({ hosts: address, auth: { username: 'user', password: 'other' } });
  await mine.put('u/a').value('1');
  say('allowed', await mine.get('u/a'), (await mine.watch().key('u/a').create()).request.key);
  await sayError('not allowed', () => mine.put('v').value('1').exec());
  await sayError('not an administrator', () => mine.getUsers());
  mine.close();
  const wrong = new Etcd3({ hosts: address, auth: { username: 'user', password: 'pw' } });
  await sayError('wrong', () => wrong.get('u/a').string());
  wrong.close();
  await sayError('nobody', () => client.get('u/a').string());
  const admin = new Etcd3({ hosts: address, auth: { username: 'root', password: 'rootpw' } });
  say('users', (await admin.getUsers()).map(({ name }) => name));
  await admin.user('user').removeRole('some');
  await admin.role('some').delete();
  await admin.user('user').delete();
  await admin.auth.authDisable();
  admin.close();
  say('users left', (await client.getUsers()).map(({ name }) => name));
}

async function main(host, port) {
  const address = `http://${host}:${port}`;
  // Without a circuit breaker, which makes of one refusal the next.
  const client = new Etcd3({ hosts: address, faultHandling: { host: () => noop, global: noop } });
  // The package closes its stream with the last watcher, and may lose one that is made at that moment.
  await client.watch().key('none').create();
  for (const part of [keysAndValues, namespaces, transactions, leases, watches, locksAndElections, maintenance, users]) {
    say(`-- ${part.name}`);
    await part(client, address);
  }
  client.close();
}

main(...process.argv.slice(2)).then(
  () => process.exit(0), // A closed client goes on trying to reach its watchers.
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
