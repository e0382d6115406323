-- Whether an index is whole. KEYS: index. ARGV: keep in ms.
if redis.call('ZSCORE', KEYS[1], '\0ready:' .. history()) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return 1
end
return 0
