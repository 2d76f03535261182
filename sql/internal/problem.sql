create or replace function postroad.problem(
  status integer,
  code   text,
  detail text,
  errors jsonb default null
)
returns jsonb
language sql
immutable
as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'type', 'urn:postroad:problem:' || code,
    'title', upper(left(code, 1)) || replace(substr(code, 2), '_', ' '),
    'status', status,
    'detail', detail,
    'errors', errors))
$$;

comment on function postroad.problem is
'An answer that says no (RFC 9457). errors: [{"pointer" or "parameter", "detail"}] for what is wrong in the body, or in path and query.';

create or replace function postroad.error_at(pointer text, detail text)
returns jsonb
language sql
immutable
as $$
  select jsonb_build_array(jsonb_build_object('pointer', pointer, 'detail', detail))
$$;

comment on function postroad.error_at is 'errors of postroad.problem, for one place in the body.';

create or replace function postroad.request_problem(
  method text,
  path   text,
  call   jsonb
)
returns jsonb
language plpgsql
stable
as $$
declare
  route record;
  errors jsonb := '[]';
  name text;
  given jsonb;
  wanted jsonb;
begin
  select r.parameters, r.request into route
  from postroad.api_routes as r
  where r.method = request_problem.method
    and r.path = request_problem.path;
  for name, given in select p.key, p.value from jsonb_each(call -> 'parameters') as p loop
    wanted := route.parameters -> name -> 'schema';
    if wanted ->> 'type' = 'integer' and given #>> '{}' ~ '^-?[0-9]{1,18}$' then
      given := to_jsonb((given #>> '{}')::bigint);
    end if;
    errors := errors || case
      when wanted is null then jsonb_build_array(jsonb_build_object('parameter', left(name, 100), 'detail', 'is not known here'))
      else (
        select coalesce(jsonb_agg(jsonb_build_object('parameter', request_problem_name.name, 'detail', e.error ->> 'detail')), '[]')
        from (select name) as request_problem_name (name), jsonb_array_elements(postroad.json_problems(wanted, given)) as e (error)
      )
    end;
  end loop;
  for name in select p.key from jsonb_each(route.parameters) as p where p.value -> 'required' = 'true' and not call -> 'parameters' ? p.key loop
    errors := errors || jsonb_build_array(jsonb_build_object('parameter', name, 'detail', 'is missing'));
  end loop;
  if route.request is not null then
    if call -> 'body' is null or call -> 'body' = 'null' then
      errors := errors || postroad.error_at('#', 'is missing');
    else
      errors := errors || postroad.json_problems(route.request, call -> 'body');
    end if;
  end if;
  if errors = '[]' then
    return null;
  end if;
  return postroad.problem(400, 'invalid_request', 'The request is not as the route wants it; see errors.', errors);
end;
$$;

comment on function postroad.request_problem is 'What is wrong with a call by the schemas of its route, as a problem, or null.';

create or replace function postroad.reason_problem(reason text)
returns jsonb
language sql
immutable
as $$
  select postroad.problem(422, reason, 'The message cannot be sent: ' || replace(reason, '_', ' ') || '.', postroad.error_at(case
    when reason like '%recipient%' then '#/recipient'
    when reason like 'subject%' then '#/subject'
    when reason in ('key_reused', 'idempotency_key_too_long') then '#/idempotency_key'
    when reason like 'scheduled_for%' then '#/scheduled_for'
    when reason like '%expire%' then '#/expires_at'
    else '#/body'
  end, replace(reason, '_', ' ')))
$$;

comment on function postroad.reason_problem is 'Why enqueue found a message invalid, as a problem.';

create or replace function postroad.bulk_problem(call jsonb)
returns jsonb
language plpgsql
stable
as $$
declare
  found_problem constant jsonb := postroad.request_problem('POST', '/messages/bulk', call);
begin
  if found_problem is null and (call -> 'caller' ->> 'tenant_id')::numeric <> (call -> 'body' ->> 'tenant_id')::numeric then
    return postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', postroad.error_at('#/tenant_id', 'is another tenant'));
  end if;
  return found_problem;
end;
$$;

comment on function postroad.bulk_problem is 'What is wrong with the call of a bulk send, beside its recipients.';

create or replace function postroad.gateway_problem(call jsonb)
returns jsonb
language sql
stable
as $$
  select case when not exists (select from postroad.channel_health as h where h.gateway = call -> 'parameters' ->> 'gateway') then
    postroad.problem(404, 'not_found', 'No worker has registered such a gateway.')
  end
$$;

comment on function postroad.gateway_problem is 'The answer to whoever names a gateway that is not there, or null.';
