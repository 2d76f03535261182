create or replace function postroad.use_idempotency_key(
  tenant_id  bigint,
  key        text,
  new_id     uuid,
  call       jsonb,
  out message_id uuid,
  out verdict text,
  out reason text
)
language plpgsql
volatile
set enable_seqscan = off
set jit = off
as $$
declare
  fingerprint bytea := sha256(convert_to(call::text, 'UTF8'));
  known postroad.idempotency_keys;
begin
  loop
    insert into postroad.idempotency_keys (tenant_id, key, message_id, fingerprint)
    values (use_idempotency_key.tenant_id, use_idempotency_key.key, new_id, fingerprint)
    on conflict do nothing;                     -- waits for a transaction that is inserting the same key
    if found then
      message_id := new_id;
      return;
    end if;
    select k.* into known
    from postroad.idempotency_keys as k
    where k.key = use_idempotency_key.key
      and k.tenant_id is not distinct from use_idempotency_key.tenant_id;
    if not found then
      continue;                                 -- purged in between
    end if;
    if known.created_at < clock_timestamp() - interval '7 days' then
      delete from postroad.idempotency_keys as k
      where k.key = use_idempotency_key.key
        and k.tenant_id is not distinct from use_idempotency_key.tenant_id
        and k.message_id = known.message_id;    -- not what another one made of it meanwhile
      continue;
    end if;
    if known.fingerprint = fingerprint then
      message_id := known.message_id;
      verdict := 'duplicate';
      reason := 'idempotency_key';
    else
      verdict := 'invalid';
      reason := 'key_reused';
    end if;
    return;
  end loop;
end;
$$;

comment on function postroad.use_idempotency_key is
$$Takes an idempotency key for new_id, for 7 days. verdict is null when it was free; duplicate, with the first id, when the same call was made with it; invalid,
reason key_reused, when another one was. A call with the same key in an open transaction is waited for.$$;

create or replace function postroad.utc_json(at timestamptz)
returns jsonb
language sql
immutable
set timezone = 'UTC'
as $$
  select to_jsonb(at)
$$;

comment on function postroad.utc_json is 'A time as JSON, the same whatever the time zone of the session: for fingerprints of calls.';
