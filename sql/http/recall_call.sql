create or replace function postroad.recall_call(
  caller      text,
  key         text,
  fingerprint bytea,
  out state   text,
  out status  smallint,
  out body    jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known postroad.http_idempotency;
begin
  -- Held to the end of the transaction, which ends with the answer.
  if not pg_try_advisory_xact_lock(1886351221, hashtext(caller || ' ' || key)) then
    state := 'running';
    return;
  end if;
  select i.* into known
  from postroad.http_idempotency as i
  where i.caller = recall_call.caller
    and i.key = recall_call.key;
  if not found then
    state := 'new';
  elsif known.created_at < clock_timestamp() - interval '24 hours' then
    delete from postroad.http_idempotency as i
    where i.caller = recall_call.caller
      and i.key = recall_call.key;
    state := 'new';
  elsif known.fingerprint = recall_call.fingerprint then
    state := 'known';
    status := known.status;
    body := known.body;
  elsif recall_call.fingerprint is null then
    state := 'seen';                             -- a stream, whose fingerprint is known when it is read
  else
    state := 'reused';
  end if;
end;
$$;

comment on function postroad.recall_call is
$$What is known of a call with an Idempotency-Key, in the transaction of the call: running (elsewhere, now), new, known (with status and body of the first answer), reused (for
another call), seen (fingerprint is null: ask again with it).$$;

revoke all on function postroad.recall_call from public;
grant execute on function postroad.recall_call to postroad_http;

create or replace function postroad.remember_call(
  caller      text,
  key         text,
  fingerprint bytea,
  status      smallint,
  body        jsonb
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if status >= 400 then
    return false;                                -- nothing was done: it may be called again, corrected
  end if;
  insert into postroad.http_idempotency (caller, key, fingerprint, status, body)
  values (caller, key, fingerprint, status, body - '{key,secret}'::text[]);   -- a secret is shown once, and kept nowhere
  return true;
end;
$$;

comment on function postroad.remember_call is
$$Keeps the answer to a call with an Idempotency-Key for 24 hours, in the transaction of the call, unless it was a refusal; of a secret that was made (key, secret) the
second answer says nothing.$$;

revoke all on function postroad.remember_call from public;
grant execute on function postroad.remember_call to postroad_http;
