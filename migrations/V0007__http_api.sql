-- The HTTP API: its routes, its keys, what it remembers of calls; who changed what; and the boundary between tenants.

do $$
declare
  role text;
begin
  foreach role in array array['postroad_http', 'postroad_bound_functions'] loop
    if not exists (select from pg_roles as r where r.rolname = role) then
      begin
        execute format('create role %I nologin', role);
      exception
        when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
end;
$$;

create table postroad.api_routes (
  method     text collate "C" not null,
  path       text collate "C" not null,
  function   text collate "C" not null,
  roles      text[] not null,
  tenants    boolean not null,
  cost       integer not null,
  success    smallint not null,
  is_stream  boolean not null,
  summary    text not null,
  parameters jsonb not null,
  request    jsonb,
  response   jsonb,
  seeded     xid8 not null default pg_current_xact_id(),
  constraint api_routes_pkey primary key (method, path),
  constraint roles_are_known check (cardinality(roles) > 0 and roles <@ '{sender,reader,admin,webhook}'),
  constraint cost_is_positive check (cost > 0)
);
comment on table postroad.api_routes is 'The endpoints of the HTTP API: a file of sql/http makes each function and its row.';
comment on column postroad.api_routes.path is 'Below /api/v1; {name} is a parameter.';
comment on column postroad.api_routes.function is 'In this schema: takes the call as jsonb, returns status and body.';
comment on column postroad.api_routes.roles is 'A caller needs one of these.';
comment on column postroad.api_routes.tenants is 'Whether callers that are bound to a tenant may call it.';
comment on column postroad.api_routes.cost is 'What a call takes from the caller''s rate limit.';
comment on column postroad.api_routes.success is 'The HTTP status of a call that worked.';
comment on column postroad.api_routes.is_stream is 'Takes NDJSON too, of any length.';
comment on column postroad.api_routes.parameters is 'JSON Schema of each parameter of path and query, by name.';
comment on column postroad.api_routes.request is 'JSON Schema of the body; null: it takes none.';
comment on column postroad.api_routes.response is 'JSON Schema of the answer.';
comment on column postroad.api_routes.seeded is 'The migration that wrote it: rows of older ones are dropped by grants.sql.';

create table postroad.api_keys (
  key_id       bigint generated always as identity,
  tenant_id    bigint,
  created_at   timestamptz not null default clock_timestamp(),
  expires_at   timestamptz,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  requests_per_second integer,
  created_by   text not null,
  name         text not null,
  prefix       text collate "C" not null,
  hash         bytea not null,
  roles        text[] not null,
  constraint api_keys_pkey primary key (key_id),
  constraint hashes_are_unique unique (hash),
  constraint roles_are_known check (cardinality(roles) > 0 and roles <@ '{sender,reader,admin,webhook}')
);
comment on table postroad.api_keys is 'Keys of the HTTP API, hashed.';
comment on column postroad.api_keys.tenant_id is 'The tenant to which its caller is bound; null: none, it sees all.';
comment on column postroad.api_keys.last_used_at is 'Written once a minute at most.';
comment on column postroad.api_keys.requests_per_second is 'Null: as the server is configured.';
comment on column postroad.api_keys.prefix is 'Its first characters, to tell keys apart.';
comment on column postroad.api_keys.hash is 'SHA-256 of the key, which is random: no salt, no stretching.';

create table postroad.http_idempotency (
  caller      text collate "C" not null,
  key         text collate "C" not null,
  created_at  timestamptz not null default clock_timestamp(),
  fingerprint bytea not null,
  status      smallint not null,
  body        jsonb,
  constraint http_idempotency_pkey primary key (caller, key)
);
comment on table postroad.http_idempotency is 'Answers to calls that came with an Idempotency-Key, for 24 hours; written with their effects, in one transaction.';
comment on column postroad.http_idempotency.caller is 'The key or token that called.';
comment on column postroad.http_idempotency.fingerprint is 'SHA-256 of the call.';
create index http_idempotency_created_at on postroad.http_idempotency using brin (created_at);
comment on index postroad.http_idempotency_created_at is 'purge_idempotency_keys';

create table postroad.audit_log (
  audit_id   bigint generated always as identity,
  tenant_id  bigint,
  changed_at timestamptz not null default clock_timestamp(),
  who        text not null,
  database_user text not null default session_user,
  action     text not null,
  target     text not null,
  before     jsonb,
  after      jsonb,
  constraint audit_log_pkey primary key (audit_id)
);
comment on table postroad.audit_log is 'Who changed what: a row for each change by an operator, in SQL or over HTTP, written in the same transaction.';
comment on column postroad.audit_log.tenant_id is 'The tenant whose caller it was; null: an operator of the whole.';
comment on column postroad.audit_log.who is 'The caller of the HTTP API, or the database user.';
comment on column postroad.audit_log.target is 'What was changed: a message, a scope and key, an address …';

-- Only what has a tenant is in it: other installations pay nothing for it.
create index messages_tenant on postroad.messages (tenant_id, message_id) where tenant_id is not null;
comment on index postroad.messages_tenant is 'list_messages of a tenant';

-- The boundary between tenants. The setting postroad.tenant of the transaction says to which tenant a caller is bound; functions that read and change
-- on behalf of callers belong to postroad_bound_functions, which these policies bind: a filter that one of them forgets shows nothing of another tenant.
-- postroad_functions owns the rest (enqueue, and what workers call), and sees all.
do $$
declare
  bound constant text := $s$nullif(current_setting('postroad.tenant', true), '')$s$;
  relation text;
  is_own text;
begin
  for relation, is_own in
    select x.relation, format('tenant_id = %s::bigint', bound)
    from unnest('{messages,messages_kept,suppression_list,api_keys,audit_log}'::text[]) as x (relation)
    union all
    select x.relation, format(
      'exists (select from postroad.messages as m where m.message_id = %1$I.message_id) or exists (select from postroad.messages_kept as k where k.message_id = %1$I.message_id)',
      x.relation)
    from unnest('{message_queue,scheduled,delivery_events}'::text[]) as x (relation)
  loop
    execute format('alter table postroad.%I enable row level security', relation);
    execute format('create policy everything on postroad.%I to postroad_functions using (true) with check (true)', relation);
    execute format('create policy own_tenant on postroad.%1$I to postroad_bound_functions using (%2$s is null or %3$s) with check (%2$s is null or %3$s)',
      relation, bound, is_own);
  end loop;
end;
$$;
