-- Who registered a reader of events, and audit rows that name no address.

alter table postroad.consumers add column registered_by text;
comment on column postroad.consumers.registered_by is 'The database user to whom it belongs. Null: it was registered before this was noted, or is our own.';

create table postroad.address_key (
  key       bytea not null,
  is_single boolean not null default true,
  constraint address_key_pkey primary key (is_single),
  constraint there_is_one check (is_single)
);
comment on table postroad.address_key is
'What addresses are hashed with where a row must tell one from another for longer than the address may be kept: the audit. Random, of this installation; no role can read it.';
insert into postroad.address_key (key)
values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- As postroad.address_hash writes it.
update postroad.audit_log as a
set target = 'address ' || left(encode(sha256(k.key || sha256(k.key || convert_to(a.target, 'UTF8'))), 'hex'), 32)
from postroad.address_key as k
where a.action in ('suppress', 'unsuppress');
comment on column postroad.audit_log.target is 'What was changed: a message, a scope and key, the hash of an address …; never an address, which forget could not reach.';
