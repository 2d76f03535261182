create or replace function postroad.begin_call(
  caller     jsonb,
  parameters jsonb,
  body       jsonb default null
)
returns jsonb
language plpgsql
volatile
as $$
declare
  ignored text;
begin
  -- Assignments, which cost less than a statement.
  ignored := pg_catalog.set_config('postroad.tenant', coalesce(caller ->> 'tenant_id', ''), true);
  ignored := pg_catalog.set_config('postroad.caller', caller ->> 'id', true);
  return pg_catalog.jsonb_build_object('caller', caller, 'parameters', parameters, 'body', body);
end;
$$;

comment on function postroad.begin_call is
$$What an endpoint of the HTTP API is called with: postroad.http_…(postroad.begin_call(caller, parameters, body)), a statement each, which is a transaction. Binds
the transaction to the caller's tenant. caller: {"id", "tenant_id"}, which the server has verified. parameters: those of path and query, as strings.$$;

revoke all on function postroad.begin_call from public;
grant execute on function postroad.begin_call to postroad_http;
