-- Which history of data this Redis has: another one after a replica took over or a snapshot was loaded, and then what it holds
-- may be behind what hosts were told. Where that cannot be asked, all is one history.
local function history()
  local answer = redis.pcall('INFO', 'replication')
  if type(answer) ~= 'string' then
    return 'none'
  end
  return string.match(answer, 'master_replid:(%x+)') or 'none'
end
