console.error('not written yet')
