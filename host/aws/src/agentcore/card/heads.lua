-- The ends of streams as their cards know them. KEYS: cards. Answers for each '1' and its end, or '0' when it must be read.
local now = history()
local ends = {}
for n = 1, #KEYS do
  local known = redis.call('HMGET', KEYS[n], 'h', 'r')
  if known[1] and known[2] == now then
    ends[n] = '1' .. known[1]
  else
    ends[n] = '0'
  end
end
return ends
